import { createServer } from 'node:http';
import express from 'express';
import { CONSTANT_ANSWER } from './answer.ts';
import { listen } from './listen.ts';

/** The yardstick: Express as `npm install` gives it, answering a constant. */
const app = express();
app.get('/validate', (_request, response) => {
  response.json(CONSTANT_ANSWER);
});

listen(createServer(app));

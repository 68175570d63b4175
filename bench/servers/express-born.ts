import { hash } from 'node:crypto';
import express from 'express';
import { CONSTANT_ANSWER } from './answer.ts';
import { bearerOf } from './bearer.ts';
import { createBornServer } from './born.ts';
import { listen } from './listen.ts';

/**
 * The most that Express gives to a service like this one: prototypes at birth, the key hashed and looked up in memory, and
 * the answer and its headers prepared, as many as the service sends. It checks nothing, counts nothing, and forgets nothing.
 */
const body = JSON.stringify(CONSTANT_ANSWER);
const headers = ['Content-Type', 'application/json; charset=utf-8', 'Content-Length', String(Buffer.byteLength(body))];
for (let index = 0; index < 7; index += 1) headers.push(`X-Header-${index}`, 'as long as a header of the service is');
const answers = new Map<string, string>();

const app = express();
app.disable('etag');
app.disable('x-powered-by');
app.get('/validate', (request, response) => {
  const name = hash('sha256', bearerOf(request), 'binary');
  let answer = answers.get(name);
  if (answer === undefined) {
    answer = body;
    answers.set(name, answer);
  }
  response.writeHead(200, headers);
  response.end(answer, 'latin1');
});

listen(createBornServer(app));

import { createServer } from 'node:http';
import { CONSTANT_ANSWER } from './answer.ts';
import { listen } from './listen.ts';

/** The limit: what Node's own server does with a constant answer. */
const body = Buffer.from(JSON.stringify(CONSTANT_ANSWER));

listen(
  createServer((_request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.length });
    response.end(body);
  }),
);

import { type RequestHandler, Router } from 'express';
import swaggerUi from 'swagger-ui-express';
import type { Endpoint } from './endpoint.ts';
import { openApiDocument } from './openapi.ts';
import { sendJson, setPageHeaders } from './reply.ts';
import { stateOf } from './request-state.ts';
import { refuseMethod } from './routing.ts';

const READ_METHODS = ['GET', 'HEAD'];
/** The two public documents; nothing in them is anyone's. */
const PUBLIC = { 'Cache-Control': 'public, max-age=300' };

/** `/openapi.json`, and `/docs` as a page whose every part comes from here: it works with no internet. */
export function documentation(endpoints: readonly Endpoint[]): Router {
  let document: object | undefined;
  const router = Router();
  router.get('/openapi.json', (_request, response) => {
    document ??= openApiDocument(endpoints);
    stateOf(response).route = '/openapi.json';
    sendJson(response, 200, document, PUBLIC);
  });
  router.all('/openapi.json', refuseMethod('/openapi.json', READ_METHODS));

  const page = swaggerUi.setup(undefined, {
    customSiteTitle: 'Key Service',
    swaggerOptions: { url: '/openapi.json', persistAuthorization: false },
  });
  router.use('/docs', onlyThePage, asPublicPage, readOnly, unconditional, ...swaggerUi.serve);
  router.get('/docs', page);
  return router;
}

/** The package writes the page's answers itself, and adds to the headers that it finds. */
const asPublicPage: RequestHandler = (_request, response, next) => {
  stateOf(response).route = '/docs';
  setPageHeaders(response, PUBLIC);
  next();
};

/** The package serves its whole folder; the page needs these files of it. */
const PAGE = /^\/(swagger-ui(-bundle|-standalone-preset|-init)?\.(css|js)|favicon-(16x16|32x32)\.png)?$/;

const onlyThePage: RequestHandler = (request, _response, next) => {
  if (PAGE.test(request.path)) next();
  else next('router');
};

/** The file server answers a condition or a range that does not hold with an error; a whole document is right always. */
const unconditional: RequestHandler = ({ headers }, _response, next) => {
  for (const name of ['if-match', 'if-unmodified-since', 'range']) delete headers[name];
  next();
};

const readOnly: RequestHandler = (request, response, next) => {
  if (READ_METHODS.includes(request.method)) next();
  else refuseMethod('/docs', READ_METHODS)(request, response, next);
};

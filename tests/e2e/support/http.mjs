// One HTTP request on a connection of its own, with the path exactly as it is given.

import { request as httpRequest } from 'node:http';

export function request(url, { method = 'GET' } = {}) {
  return new Promise((resolve, reject) => {
    const { hostname, port, origin } = new URL(url);
    const path = url.slice(origin.length) || '/';
    const options = { hostname, port, path, method, agent: false, timeout: 5000 };
    const outgoing = httpRequest(options, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => {
        body += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body }));
    });
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer from ${url}`)));
    outgoing.on('error', reject);
    outgoing.end();
  });
}

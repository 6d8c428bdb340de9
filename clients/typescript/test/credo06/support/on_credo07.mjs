// With `node --import`: everything that imports @credo-ts/core, @credo-ts/didcomm 0.6 included, gets
// 0.7. A dependency of 0.7 that is not on npm, for mobile documents, is replaced by one that refuses.

import { register } from 'node:module';

const hooks = `
  const absent = '@verifiables/request-converter';
  const refusing = ['convertDcqlQueryToDeviceRequest', 'convertPresentationDefinitionToDeviceRequest']
    .map((name) => 'export function ' + name + '() { throw new Error("' + absent + ' is absent"); }')
    .join('\\n');
  export async function resolve(specifier, context, next) {
    if (specifier === '@credo-ts/core') {
      return next('${new URL('credo_core_07.mjs', import.meta.url)}', context);
    }
    if (specifier === absent) {
      return { url: 'data:text/javascript,' + encodeURIComponent(refusing), shortCircuit: true };
    }
    return next(specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);

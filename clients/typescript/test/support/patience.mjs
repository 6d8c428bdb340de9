// Waiting, for as long as a machine may need that is busy with other things.

import { until as untilWithin } from '../../../../tests/e2e/support/wait.mjs';

export async function until(probe, what, milliseconds = 30_000) {
  return untilWithin(probe, what, milliseconds);
}

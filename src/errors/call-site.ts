/** The call of a user whose stack an error gets that comes up later: that is the line to look at. */

/** Where a call was made. */
export interface CallSite {
  readonly stack?: string;
}

/** The place of the call of `caller` that is under way. */
export function callSite(caller: (...args: never[]) => unknown): CallSite {
  const site: CallSite = {};
  Error.captureStackTrace(site, caller);
  return site;
}

/** Gives an error the stack of the call that began the work. */
export function withStackOf(error: Error, site: CallSite): Error {
  const frames = site.stack?.slice(site.stack.indexOf('\n'));
  if (frames !== undefined) error.stack = `${error.name}: ${error.message}${frames}`;
  return error;
}

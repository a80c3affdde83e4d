/** A change in words. */
import { roughDuration } from '../../duration.ts';
import type { DefaultRoute, NetworkChange } from '../../watch/change.ts';
import { rangeText } from '../../address/text.ts';
import type { Style } from './style.ts';

/** Addresses that are listed before the rest is only counted. */
const SHOWN = 4;

/** One line without its end. */
export function describeChange(change: NetworkChange, style: Style): string {
  switch (change.type) {
    case 'interface-added':
      return `${style.good('+')} interface ${change.interface} is new`;
    case 'interface-removed':
      return `${style.bad('-')} interface ${change.interface} is gone`;
    case 'interface-renamed':
      return `${style.doubtful('~')} interface ${change.previous} is called ${change.interface} now`;
    case 'interface-up':
      return `${style.good('+')} interface ${change.interface} is up`;
    case 'interface-down':
      return `${style.bad('-')} interface ${change.interface} is down: switched off, or without a link`;
    case 'address-added':
      return `${style.good('+')} address ${change.ip}/${change.prefixLength}${scope(change.scope)} is new on ${change.interface}`;
    case 'address-removed':
      return `${style.bad('-')} address ${change.ip}/${change.prefixLength}${scope(change.scope)} is gone from ${change.interface}`;
    case 'block-added':
      return `${style.good('+')} block ${rangeText(change.block)} is held now, by ${change.interface}`;
    case 'block-removed':
      return `${style.bad('-')} block ${rangeText(change.block)} is held no more, by ${change.interface}`;
    case 'default-changed':
      return `${style.doubtful('~')} IPv${change.family} default route ${now(change.now)} (was ${way(change.previous)})`;
    case 'external-changed': {
      const more = change.locals.length - SHOWN;
      const locals = change.locals.slice(0, SHOWN).map(rangeText).join(', ') + (more > 0 ? ` and ${more} more` : '');
      const leaves = change.locals.length > 1 ? 'leave' : 'leaves';
      const sure = change.certainty === 'agreed' ? '' : ', as one server says';
      const before =
        change.previous === undefined ? 'before it was not known' : `before as ${rangeText(change.previous)}`;
      return `${style.doubtful('~')} ${locals} ${leaves} as ${rangeText(change.external)} now${sure}; ${before}`;
    }
    case 'resumed':
      return `${style.doubtful('~')} the machine was asleep for ${roughDuration(change.sleptMs)}`;
  }
}

function scope(text: string): string {
  return text === 'global' ? '' : ` (${text})`;
}

function now(to: DefaultRoute | undefined): string {
  return to === undefined ? 'is gone' : `is now ${way(to)}`;
}

function way(to: DefaultRoute | undefined): string {
  if (to === undefined) return 'none';
  return to.gateway === undefined ? to.interface : `${to.interface} via ${to.gateway}`;
}

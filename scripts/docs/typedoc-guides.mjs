// Plugin of typedoc: a guide is called by its first heading, not by its file.
import { Converter } from 'typedoc';

export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    const heading = /^# (.+)$/m.exec(document.content.map((part) => part.text).join(''))?.[1];
    if (heading !== undefined) document.name = heading;
  });
}

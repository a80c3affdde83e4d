/**
 * Whether a public type and what is made of the addon's have the same fields. `true satisfies SameShape<A, B>` has the
 * compiler refuse a field, at any depth, that one of them lacks or has of another kind.
 */

/** Of what kind each field is, at any depth: whether it may be missing, and which words a text may be, are left out. */
type Shape<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends readonly (infer Item)[]
      ? readonly Shape<Item>[]
      : T extends object
        ? { readonly [Key in keyof T]-?: Shape<Exclude<T[Key], undefined | null>> }
        : T;

/** `true` for two types of the same shape; else those of the first and the second. */
export type SameShape<A, B> = [Shape<A>, Shape<B>] extends [Shape<B>, Shape<A>] ? true : [Shape<A>, Shape<B>];

//! Sweeps over simulated networks, judged from outside: what is true of each network is known, and the sweep is not.
//!
//! A [`network`] is a plain description, made of [`part`]s at [`place`]s. The [`wire`] lets it happen on stepped time, the
//! [`driver`] runs a sweep over it as the loop around the socket does, the [`oracle`] says how long somebody would need who
//! knows it all, and [`judge`] counts. Nothing here knows how the engine decides, and no randomness is shared with it.

mod driver;
mod judge;
mod named;
mod network;
mod oracle;
mod part;
mod place;
mod random;
mod table;
mod tests;
mod wire;

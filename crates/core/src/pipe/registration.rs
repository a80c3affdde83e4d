//! A socket of the portable reader, as the runtime waits for it.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use unix::Registration;
#[cfg(windows)]
pub(crate) use windows::Registration;

//! Systems whose messages are not read yet: interfaces are looked at now and then.

use std::io;

use mio::{Registry, Token};

use super::Heard;

/// Never opened.
pub(in crate::watch) enum Ear {}

impl Ear {
    pub(in crate::watch) fn open(_: &Registry, _: Token) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(in crate::watch) fn listen(&mut self, _: impl FnMut(Heard)) -> io::Result<()> {
        match *self {}
    }

    pub(in crate::watch) fn close(self, _: &Registry) {
        match self {}
    }
}

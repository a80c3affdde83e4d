//! What the table of the portable reader and its task share.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};
use std::task::Wake;

use routepool_udp::Interest;
use tokio::sync::Notify;

use super::super::connection_limit::ConnectionLimit;
use super::super::ring::Ring;
use super::entry::Entry;
use crate::lock::lock;

/// Commands that wait at most for something else to wake the task.
const COMMANDS: usize = 256;

#[derive(Debug)]
pub(super) struct Shared {
    /// `None` once the task has ended.
    commands: Mutex<Option<Vec<Command>>>,
    /// Sockets that the system has told something of.
    told: Mutex<Vec<u32>>,
    /// Wakes the task: there is a command, something was told, or it may read again.
    pub(super) wake: Notify,
    pub(super) accepted: Mutex<VecDeque<Accepted>>,
    pub(super) ring: Arc<Ring>,
    /// The task has stopped reading until something is drained.
    pub(super) stalled: AtomicBool,
}

/// A connection that has no number yet.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) listener: u32,
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// The limit that it has a place of.
    pub(super) limit: Option<Arc<ConnectionLimit>>,
}

#[derive(Debug)]
pub(super) enum Command {
    Add(Entry),
    Watch(u32, Interest),
    Remove(u32),
    Detach(u32),
    Stop,
}

impl Shared {
    pub(super) fn new(ring: Arc<Ring>) -> Self {
        Self {
            commands: Mutex::new(Some(Vec::new())),
            told: Mutex::default(),
            wake: Notify::new(),
            accepted: Mutex::default(),
            ring,
            stalled: AtomicBool::new(false),
        }
    }

    /// A command that the task obeys now. Nothing once it has ended.
    pub(super) fn command(&self, command: Command) {
        self.leave(command);
        self.wake.notify_one();
    }

    /// A command that the task obeys when something else wakes it, or when many have come together.
    pub(super) fn leave(&self, command: Command) {
        let mut commands = lock(&self.commands);
        let Some(commands) = &mut *commands else { return };
        commands.push(command);
        if commands.len() == COMMANDS {
            self.wake.notify_one();
        }
    }

    /// Something has happened to a socket.
    pub(super) fn tell(&self, id: u32) {
        let mut told = lock(&self.told);
        let first = told.is_empty();
        told.push(id);
        drop(told);
        // Who comes later is found by the task with the first.
        if first {
            self.wake.notify_one();
        }
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        lock(&self.commands).as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Puts the numbers of sockets that were told of to others.
    pub(super) fn take_told(&self, ids: &mut Vec<u32>) {
        ids.append(&mut lock(&self.told));
    }

    /// The task has ended.
    pub(super) fn end(&self) {
        // Dropped without the lock.
        let left = lock(&self.commands).take();
        drop(left);
    }
}

/// Wakes the task on behalf of a socket.
pub(super) struct SocketWaker {
    pub(super) shared: Arc<Shared>,
    pub(super) id: u32,
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.shared.tell(self.id);
    }
}

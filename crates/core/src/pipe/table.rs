//! Numbers of sockets. A number is a place in the table and how often that place has been given away, so what is still under
//! way to a closed socket is not taken for a later one's.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use routepool_udp::Interest;

use super::connection_limit::ConnectionLimit;
use super::open::Settings;
use super::registration::Registration;
use super::socket::{Socket, State};

/// Bits of a number that say the place.
pub(crate) const PLACE_BITS: u32 = 20;

/// Places that are kept free before one is used again: with 12 bits of age a number comes back after this many times 4,096.
const KEPT_FREE: usize = 64;

/// What a reader has to know of a socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched {
    pub(crate) id: u32,
    pub(crate) state: State,
    /// Whether datagrams come from more than one peer.
    pub(crate) names: bool,
    /// Whether the socket tells where a datagram was delivered to.
    #[cfg(target_os = "linux")]
    pub(crate) packet_info: bool,
    /// Bytes of a stream that are read at a time, at most.
    pub(crate) largest: usize,
}

#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) watched: Watched,
    pub(crate) socket: Arc<Socket>,
    /// Where the runtime waits for it: of the portable reader.
    pub(crate) registration: Option<Arc<Registration>>,
    /// What the owner wants to hear of.
    pub(crate) interest: Interest,
    /// What the direct reader listens to: the owner's wish, or the connection's end being made.
    #[cfg(target_os = "linux")]
    pub(crate) watching: Interest,
    /// How connections of a listener are set.
    pub(crate) accept: Option<Arc<Settings>>,
    /// Whether a listener waits for a place of its limit: of the direct reader, as the portable one's thread knows it of its own.
    #[cfg(target_os = "linux")]
    pub(crate) parked: bool,
}

impl Slot {
    /// A new socket; it is read from the start.
    pub(crate) fn new(id: u32, socket: Socket, state: State, settings: &Arc<Settings>) -> Self {
        let watched = Watched {
            id,
            state,
            names: settings.remote.is_none() || settings.packet_info,
            #[cfg(target_os = "linux")]
            packet_info: settings.packet_info,
            largest: settings.largest,
        };
        let accept = (state == State::Listening).then(|| Arc::clone(settings));
        Self {
            watched,
            socket: Arc::new(socket),
            registration: None,
            interest: Interest::READ,
            #[cfg(target_os = "linux")]
            watching: Interest::NONE,
            accept,
            #[cfg(target_os = "linux")]
            parked: false,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<(u32, Option<Slot>)>,
    free: VecDeque<u32>,
    len: usize,
    /// Connections that hold a place of a limit, until their owner says that they are gone: how many of that number, since one may
    /// be somebody else's descriptor by now.
    places: HashMap<u32, (Arc<ConnectionLimit>, usize)>,
}

impl Table {
    /// Makes a place; `None` if there is none left.
    pub(crate) fn insert(&mut self, make: impl FnOnce(u32) -> Slot) -> Option<u32> {
        let place = if self.free.len() > KEPT_FREE || self.slots.len() >> PLACE_BITS > 0 {
            self.free.pop_front()?
        } else {
            self.slots.push((0, None));
            self.slots.len() as u32 - 1
        };
        let (age, slot) = self.slots.get_mut(place as usize)?;
        let id = place | *age << PLACE_BITS;
        *slot = Some(make(id));
        self.len += 1;
        Some(id)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Slot> {
        self.slots.get(place(id))?.1.as_ref().filter(|slot| slot.watched.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Slot> {
        self.slots.get_mut(place(id))?.1.as_mut().filter(|slot| slot.watched.id == id)
    }

    pub(crate) fn remove(&mut self, id: u32) -> Option<Slot> {
        let (age, slot) = self.slots.get_mut(place(id))?;
        let taken = slot.take_if(|slot| slot.watched.id == id)?;
        *age = (*age + 1) & (u32::MAX >> PLACE_BITS);
        self.free.push_back(place(id) as u32);
        self.len -= 1;
        Some(taken)
    }

    /// A connection has a place of the limit.
    pub(crate) fn hold_place(&mut self, id: u32, limit: &Arc<ConnectionLimit>) {
        self.places.entry(id).or_insert_with(|| (Arc::clone(limit), 0)).1 += 1;
    }

    /// A connection needs its place no more; gives the limit that it is to be given back to.
    pub(crate) fn take_place(&mut self, id: u32) -> Option<Arc<ConnectionLimit>> {
        let (limit, holders) = self.places.get_mut(&id)?;
        let limit = Arc::clone(limit);
        *holders -= 1;
        if *holders == 0 {
            self.places.remove(&id);
        }
        Some(limit)
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn ids(&self) -> Vec<u32> {
        self.slots.iter().filter_map(|(_, slot)| slot.as_ref().map(|slot| slot.watched.id)).collect()
    }
}

fn place(id: u32) -> usize {
    (id & (u32::MAX >> (32 - PLACE_BITS))) as usize
}

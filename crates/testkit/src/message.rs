//! STUN messages, by `stun-rs` alone: the testkit shares no code with the project's own readers and servers.

use stun_rs::methods::BINDING;
use stun_rs::{
    DecoderContextBuilder, MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunAttribute,
    StunMessage, StunMessageBuilder, TransactionId,
};

/// Bytes of the longest message that is composed here: errors with a list of all attributes of a request.
const MOST: usize = 4_096;

/// A Binding request.
pub(crate) fn request(bytes: &[u8]) -> Option<StunMessage> {
    let context = DecoderContextBuilder::default().not_ignore().build();
    let (message, _) = MessageDecoderBuilder::default().with_context(context).build().decode(bytes).ok()?;
    (message.method() == BINDING && message.class() == MessageClass::Request).then_some(message)
}

/// An answer to it; empty if it would be too long.
pub(crate) fn answer(class: MessageClass, id: TransactionId, attributes: Vec<StunAttribute>) -> Vec<u8> {
    let builder = StunMessageBuilder::new(BINDING, class).with_transaction_id(id);
    let message = attributes.into_iter().fold(builder, StunMessageBuilder::with_attribute).build();
    let mut bytes = vec![0; MOST];
    let len = MessageEncoderBuilder::default().build().encode(&mut bytes, &message);
    bytes.truncate(len.unwrap_or(0));
    bytes
}

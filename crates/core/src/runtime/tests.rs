use std::time::Duration;

use tokio::time::timeout;

use super::*;

#[test]
fn there_is_one_while_it_is_needed_and_a_panic_is_a_result() {
    let (one, two) = (Lease::take().expect("threads"), Lease::take().expect("threads"));
    assert_eq!(one.handle().id(), two.handle().id());
    drop(one);
    let answer = two.block_on(async { two.spawn(async { 7 }).await });
    assert_eq!(answer.expect("no panic"), 7);
    let panicked = two.block_on(settle::<u8>(async { panic!("as a test") }));
    assert!(matches!(panicked, Err(Error::Internal(_))));
}

#[test]
fn what_was_told_before_is_heard_and_so_is_what_is_told_later() {
    let lease = Lease::take().expect("threads");
    let cancel = Cancel::new();
    assert!(!cancel.is_cancelled());
    let waits = lease.spawn({
        let cancel = cancel.clone();
        async move { cancel.cancelled().await }
    });
    assert!(lease.block_on(async { timeout(Duration::from_millis(20), cancel.cancelled()).await.is_err() }));
    cancel.clone().cancel();
    lease.block_on(async {
        waits.await.expect("no panic");
        cancel.cancelled().await;
    });
    assert!(cancel.is_cancelled());
}

#[test]
fn the_last_share_may_end_in_one_of_its_own_tasks() {
    let lease = Lease::take().expect("threads");
    let own = lease.clone();
    let (tell, told) = std::sync::mpsc::channel();
    lease.spawn(async move {
        tokio::task::yield_now().await;
        drop(own);
        let _ = tell.send(());
    });
    drop(lease);
    told.recv().expect("the task goes on to its next wait");
}

//! Proofs of what a journal tells after any of its lines.
use super::*;

fn events() -> Vec<Event> {
    vec![
        Event::Begin { at: 1, idle: false },
        Event::Refused {
            at: 2,
            to: vec![1],
            reply: "550 no".into(),
        },
        Event::Dot {
            at: 3,
            to: vec![0, 2],
        },
        Event::Accepted {
            at: 4,
            to: vec![0],
            reply: "250 ok".into(),
        },
        Event::Deferred {
            at: 5,
            to: vec![2],
            reply: "452 full".into(),
            next: 9,
        },
    ]
}

fn state(events: &[Event]) -> State {
    State::after(3, events)
}

#[test]
fn the_state_is_folded_from_the_lines() {
    let file = tempfile::tempfile().unwrap();
    let mut good = 0;
    for event in events() {
        append(&file, &mut good, &[event]).unwrap();
    }
    let (read, whole) = read(&file).unwrap();
    assert_eq!((&read, whole), (&events(), good));
    let state = state(&read);
    assert_eq!(
        state.status,
        [
            RecipientStatus::Accepted,
            RecipientStatus::Refused,
            RecipientStatus::Waiting
        ]
    );
    assert_eq!(
        (state.left(), state.tries, state.next, state.last.as_str()),
        (vec![2], 1, 9, "452 full")
    );
}

#[test]
fn what_is_said_of_those_that_wait_is_about_one_of_them() {
    let mut state = state(&events()[..4]);
    // The acceptance of another one came last, and says nothing about the third.
    assert_eq!((state.last.as_str(), state.why()), ("250 ok", UNANSWERED));
    state.fold(&events()[4]);
    state.fold(&Event::Accepted {
        at: 6,
        to: vec![1],
        reply: "250 queued".into(),
    });
    assert_eq!(
        (state.last.as_str(), state.why()),
        ("250 queued", "452 full")
    );
    assert_eq!(
        [0, 1, 2, 3].map(|place| state.replies.about(place)),
        ["250 ok", "250 queued", "452 full", ""]
    );
    state.fold(&Event::Release { at: 7 });
    assert_eq!(state.why(), "452 full");
    assert_eq!(State::new(2).why(), "");
}

#[test]
fn places_in_a_row_are_written_by_the_first_and_the_last_and_all_forms_are_read() {
    let line = |to: Vec<usize>| serde_json::to_string(&Event::Dot { at: 3, to }).unwrap();
    assert_eq!(
        line((0..100_000).collect()),
        r#"{"event":"dot","at":3,"to":[[0,99999]]}"#
    );
    assert_eq!(line(vec![7]), r#"{"event":"dot","at":3,"to":[7]}"#);
    assert_eq!(
        line(vec![0, 1, 4, 5, 6, 9, 8]),
        r#"{"event":"dot","at":3,"to":[0,1,[4,6],9,8]}"#
    );
    let read = |text: &str| match serde_json::from_str(text) {
        Ok(Event::Dot { to, .. }) => Some(to),
        _ => None,
    };
    assert_eq!(
        read(r#"{"event":"dot","at":3,"to":[0,1,2,3,[5,7],4]}"#),
        Some(vec![0, 1, 2, 3, 5, 6, 7, 4])
    );
    assert_eq!(read(r#"{"event":"dot","at":3,"to":[[5,4]]}"#), None);
    assert_eq!(
        read(r#"{"event":"dot","at":3,"to":[[0,18446744073709551615]]}"#),
        None
    );
}

#[test]
fn a_torn_last_line_is_ignored_and_cut_away_by_the_next() {
    let file = tempfile::tempfile().unwrap();
    let mut good = 0;
    append(&file, &mut good, &events()[..2]).unwrap();
    let whole = good;
    append(&file, &mut good, &events()[2..3]).unwrap();
    for length in whole..good {
        file.set_len(length).unwrap();
        assert_eq!(
            read(&file).unwrap(),
            (events()[..2].to_vec(), whole),
            "{length}"
        );
    }
    (&file).seek(SeekFrom::End(0)).unwrap();
    let mut at = whole;
    append(&file, &mut at, &events()[3..4]).unwrap();
    assert_eq!(read(&file).unwrap().0.len(), 3);
}

#[test]
fn a_turned_bit_in_a_whole_line_is_damage_wherever_it_is() {
    let file = tempfile::tempfile().unwrap();
    append(&file, &mut 0, &events()).unwrap();
    let mut whole = Vec::new();
    (&file).seek(SeekFrom::Start(0)).unwrap();
    (&file).read_to_end(&mut whole).unwrap();
    for at in 0..whole.len() {
        std::os::unix::fs::FileExt::write_all_at(&file, &[whole[at] ^ 1], at as u64).unwrap();
        assert!(matches!(read(&file), Err(JournalError::Damaged(_))), "{at}");
        std::os::unix::fs::FileExt::write_all_at(&file, &whole[at..=at], at as u64).unwrap();
    }
    assert!(read(&file).is_ok());
}

#[test]
fn what_lies_between_two_tries_counts_as_planned_or_as_a_fifth_of_the_lifetime_at_most() {
    const HOUR: i64 = 3_600_000;
    let tried = |lifetime: i64, times: &[i64], pause: i64| {
        let mut state = State::new(1);
        for at in times {
            state.fold(&Event::Begin {
                at: *at,
                idle: false,
            });
            state.fold(&Event::Deferred {
                at: *at,
                to: vec![0],
                reply: String::new(),
                next: at.saturating_add(pause),
            });
        }
        state.time_tried(lifetime)
    };
    let lifetime = 5 * 24 * HOUR;
    let rows: &[(i64, &[i64], i64, i64)] = &[
        (lifetime, &[], 0, 0),
        (lifetime, &[7], HOUR, 0),
        (lifetime, &[0, HOUR, 3 * HOUR], HOUR, 3 * HOUR),
        // The machine was off, or a clock was wrong for a while.
        (lifetime, &[0, HOUR, 1000 * HOUR], HOUR, 25 * HOUR),
        (lifetime, &[90_000 * HOUR, 0, HOUR], HOUR, HOUR),
        (lifetime, &[0, 90_000 * HOUR, HOUR], HOUR, 24 * HOUR),
        (
            lifetime,
            &[0, i64::MAX, i64::MIN, i64::MAX],
            HOUR,
            48 * HOUR,
        ),
        // A schedule that is slower than a fifth of the lifetime counts as it is.
        (HOUR, &[0, HOUR, 9 * HOUR], 2 * HOUR, 3 * HOUR),
        (0, &[0, HOUR], 0, 0),
    ];
    for (lifetime, times, pause, wanted) in rows {
        assert_eq!(tried(*lifetime, times, *pause), *wanted, "{times:?}");
    }
}

#[test]
fn a_release_and_a_run_without_a_route_count_no_time() {
    let begin = |at: i64, idle: bool| Event::Begin { at, idle };
    let state = State::after(
        1,
        &[
            begin(0, false),
            begin(50, false),
            Event::Release { at: 60 },
            begin(90, false),
        ],
    );
    assert_eq!((state.time_tried(1000), state.tries), (0, 3));
    let state = State::after(
        1,
        &[
            begin(0, true),
            begin(50, true),
            begin(90, false),
            begin(95, true),
        ],
    );
    assert_eq!((state.time_tried(1000), state.tries), (0, 4));
    let json = |event| serde_json::to_string(&event).unwrap();
    assert_eq!(json(begin(1, false)), r#"{"event":"begin","at":1}"#);
    assert_eq!(
        json(begin(1, true)),
        r#"{"event":"begin","at":1,"idle":true}"#
    );
}

#[test]
fn damage_in_the_middle_is_not_passed_over() {
    let file = tempfile::tempfile().unwrap();
    append(&file, &mut 0, &events()).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"x", 30).unwrap();
    assert!(matches!(read(&file), Err(JournalError::Damaged(1))));
}

#[test]
fn a_dot_without_an_answer_is_in_doubt_for_ten_minutes() {
    let state = state(&events()[..3]);
    assert_eq!(
        state.status,
        [
            RecipientStatus::InDoubt,
            RecipientStatus::Refused,
            RecipientStatus::InDoubt
        ]
    );
    let hour = Duration::from_hours(1);
    assert!(!state.is_due(DOUBT, hour) && state.is_due(DOUBT + 3, hour));
}

#[test]
fn who_is_put_off_does_not_shorten_the_doubt_about_the_others() {
    let mut events = vec![
        Event::Dot {
            at: 3,
            to: vec![0, 1, 2],
        },
        Event::Refused {
            at: 4,
            to: vec![1],
            reply: "550 no".into(),
        },
        Event::Deferred {
            at: 4,
            to: vec![2],
            reply: "450 later".into(),
            next: 9,
        },
    ];
    let killed = state(&events);
    assert_eq!(
        killed.status,
        [
            RecipientStatus::InDoubt,
            RecipientStatus::Refused,
            RecipientStatus::Waiting
        ]
    );
    assert_eq!(killed.next, DOUBT + 3);
    events.push(Event::Accepted {
        at: 5,
        to: vec![0],
        reply: "250 ok".into(),
    });
    assert_eq!(state(&events).next, 9);
}

#[test]
fn accepted_is_for_ever() {
    let mut state = state(&events());
    state.fold(&Event::Deferred {
        at: 9,
        to: vec![0, 2],
        reply: String::new(),
        next: 0,
    });
    state.fold(&Event::Release { at: 10 });
    assert_eq!(state.status[0], RecipientStatus::Accepted);
    assert_eq!(state.status[1], RecipientStatus::Waiting);
}

#[test]
fn a_clock_that_jumped_does_not_strand_a_mail() {
    let mut state = State::new(1);
    state.fold(&Event::Deferred {
        at: 1_000_000_000,
        to: vec![0],
        reply: String::new(),
        next: 1_000_060_000,
    });
    let hour = Duration::from_hours(1);
    assert!(state.is_due(0, hour), "the clock went back");
    assert!(!state.is_due(1_000_000_001, hour));
    assert!(state.is_due(9_000_000_000, hour));
}

#[test]
fn journals_of_any_lines_take_linear_time() {
    use crate::pace::assert_linear;
    let rows: &[(&str, &dyn Fn(usize) -> Event)] = &[
        ("answers", &|n| Event::Refused {
            at: 1,
            to: vec![n],
            reply: format!("550 {n}"),
        }),
        ("dots", &|n| Event::Dot { at: 1, to: vec![n] }),
        ("doubts", &|n| Event::Doubt {
            at: 1,
            to: vec![n],
            reply: String::new(),
            next: 2,
        }),
        ("attempts", &|_| Event::Begin { at: 1, idle: false }),
    ];
    for (name, event) in rows {
        let make = |size: usize| {
            let (file, mut good) = (tempfile::tempfile().unwrap(), 0);
            let events: Vec<_> = (0..size / 70).map(event).collect();
            append(&file, &mut good, &events).unwrap();
            (file, events.len())
        };
        assert_linear(name, make, |(file, recipients)| {
            let (events, _) = read(&file).unwrap();
            assert_eq!(State::after(recipients, &events).status.len(), recipients);
        });
    }
    let torn = |size: usize| {
        let file = tempfile::tempfile().unwrap();
        (&file).write_all(&vec![b'x'; size]).unwrap();
        file
    };
    assert_linear("no line end", torn, |file| drop(read(&file)));
}

//! Proofs of what a journal tells after any of its lines.
use super::*;

fn events() -> Vec<Event> {
    vec![
        Event::Begin { at: 1, idle: false },
        Event::Refused { at: 2, to: vec![1], reply: "550 no".into() },
        Event::Dot { at: 3, to: vec![0, 2] },
        Event::Accepted { at: 4, to: vec![0], reply: "250 ok".into() },
        Event::Deferred { at: 5, to: vec![2], reply: "452 full".into(), next: 9 },
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
    assert_eq!(state.standing, [Standing::Accepted, Standing::Refused, Standing::Waiting]);
    assert_eq!((state.left(), state.tries, state.next, state.last.as_str()), (vec![2], 1, 9, "452 full"));
}

#[test]
fn places_in_a_row_are_written_by_the_first_and_the_last_and_all_forms_are_read() {
    let line = |to: Vec<usize>| serde_json::to_string(&Event::Dot { at: 3, to }).unwrap();
    assert_eq!(line((0..100_000).collect()), r#"{"event":"dot","at":3,"to":[[0,99999]]}"#);
    assert_eq!(line(vec![7]), r#"{"event":"dot","at":3,"to":[7]}"#);
    assert_eq!(line(vec![0, 1, 4, 5, 6, 9, 8]), r#"{"event":"dot","at":3,"to":[0,1,[4,6],9,8]}"#);
    let read = |text: &str| match serde_json::from_str(text) {
        Ok(Event::Dot { to, .. }) => Some(to),
        _ => None,
    };
    assert_eq!(read(r#"{"event":"dot","at":3,"to":[0,1,2,3,[5,7],4]}"#), Some(vec![0, 1, 2, 3, 5, 6, 7, 4]));
    assert_eq!(read(r#"{"event":"dot","at":3,"to":[[5,4]]}"#), None);
    assert_eq!(read(r#"{"event":"dot","at":3,"to":[[0,18446744073709551615]]}"#), None);
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
        assert_eq!(read(&file).unwrap(), (events()[..2].to_vec(), whole), "{length}");
    }
    (&file).seek(SeekFrom::End(0)).unwrap();
    let mut at = whole;
    append(&file, &mut at, &events()[3..4]).unwrap();
    assert_eq!(read(&file).unwrap().0.len(), 3);
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
    assert_eq!(state.standing, [Standing::InDoubt, Standing::Refused, Standing::InDoubt]);
    let hour = Duration::from_hours(1);
    assert!(!state.is_due(DOUBT, hour) && state.is_due(DOUBT + 3, hour));
}

#[test]
fn who_is_put_off_does_not_shorten_the_doubt_about_the_others() {
    let mut events = vec![
        Event::Dot { at: 3, to: vec![0, 1, 2] },
        Event::Refused { at: 4, to: vec![1], reply: "550 no".into() },
        Event::Deferred { at: 4, to: vec![2], reply: "450 later".into(), next: 9 },
    ];
    let killed = state(&events);
    assert_eq!(killed.standing, [Standing::InDoubt, Standing::Refused, Standing::Waiting]);
    assert_eq!(killed.next, DOUBT + 3);
    events.push(Event::Accepted { at: 5, to: vec![0], reply: "250 ok".into() });
    assert_eq!(state(&events).next, 9);
}

#[test]
fn accepted_is_for_ever() {
    let mut state = state(&events());
    state.fold(&Event::Deferred { at: 9, to: vec![0, 2], reply: String::new(), next: 0 });
    state.fold(&Event::Release { at: 10 });
    assert_eq!(state.standing[0], Standing::Accepted);
    assert_eq!(state.standing[1], Standing::Waiting);
}

#[test]
fn a_clock_that_jumped_does_not_strand_a_mail() {
    let mut state = State::new(1);
    state.fold(&Event::Deferred { at: 1_000_000_000, to: vec![0], reply: String::new(), next: 1_000_060_000 });
    let hour = Duration::from_hours(1);
    assert!(state.is_due(0, hour), "the clock went back");
    assert!(!state.is_due(1_000_000_001, hour));
    assert!(state.is_due(9_000_000_000, hour));
}

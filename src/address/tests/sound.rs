//! An address that exists can stand in a command and in a header: whatever it was made of, its
//! printed form gives it back.
use proptest::prelude::*;

use super::*;

/// Pieces that lie where parsers go wrong: specials, escapes, control characters, blanks of every
/// kind.
fn text() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        "b@x",
        "@",
        "\"",
        "\\",
        "<",
        ">",
        "(",
        ")",
        "[",
        "]",
        ",",
        ";",
        ":",
        ".",
        " ",
        "\t",
        "\r",
        "\n",
        "\r\n",
        "\0",
        "\u{7f}",
        "\u{85}",
        "\u{a0}",
        "\u{2028}",
        "\u{202e}",
        "\u{3000}",
        "\u{ad}",
        "é",
        "中",
        "xn--",
        "xn--fiq228c",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "=?",
        "-",
        "+",
        "/",
        "%",
        "DATA",
        "\"a b\"@x",
        "\\\r\\\n",
        "example.com",
    ]);
    let piece =
        prop_oneof![8 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

fn is_sound(address: &Address) -> Result<(), TestCaseError> {
    let printed = address.to_string();
    prop_assert!(!printed.chars().any(char::is_control), "{:?}", printed);
    prop_assert_eq!(Address::parse(&printed), Ok(address.clone()));
    prop_assert_eq!(
        parse_word(&printed),
        Ok(vec![Mailbox::from(address.clone())])
    );
    // As it stands in a header, alone, named, and in a list.
    let named = Mailbox {
        name: Some("A".to_owned()),
        address: address.clone(),
    };
    let both = vec![named, Mailbox::from(address.clone())];
    prop_assert_eq!(parse_list(&format!("A <{printed}>, {printed}")), Ok(both));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn whatever_is_parsed_prints_as_what_it_is(text in text()) {
        for parsed in [parse_word(&text), parse_list(&text), parse_list(&format!("<{text}>"))] {
            for mailbox in parsed.unwrap_or_default() {
                is_sound(&mailbox.address)?;
                let name = mailbox.name.unwrap_or_default();
                prop_assert!(!name.chars().any(char::is_control), "{:?}", name);
            }
        }
    }

    #[test]
    fn another_domain_makes_no_other_kind_of_address(text in text(), domain in text()) {
        let Ok(address) = Address::parse(&text) else { return Ok(()) };
        for made in [address.clone().qualify(&domain), address.with_domain(&domain)].into_iter().flatten() {
            is_sound(&made)?;
        }
    }
}

#[test]
fn no_control_character_gets_into_an_address_or_a_name() {
    let places = [
        "a{}@x",
        "a@x{}y",
        "\"a{}b\"@x",
        "\"a\\{}b\"@x",
        "<\"a\\{}\"@x>",
        "<a{}b@x>",
        "\"A\\{}\" <a@x>",
        "a@x (\\{})",
    ];
    let controls = ('\0'..='\u{9f}')
        .filter(|c| c.is_control())
        .chain(['\u{2028}', '\u{2029}', '\u{202e}', '\u{61c}']);
    for control in controls {
        // Between addresses and in a name, where folding may have left it, a TAB is a blank.
        if control != '\t' {
            assert!(
                parse_list(&format!("\"A{control}B\" <a@x>")).is_err(),
                "{control:?}"
            );
            assert!(
                parse_list(&format!("a@x (A{control}B)")).is_err(),
                "{control:?}"
            );
        }
        for place in places {
            let text = place.replace("{}", &control.to_string());
            // In a word, a TAB ends it: what is left are two addresses, or none.
            let found = parse_list(&text)
                .or_else(|_| parse_word(&text))
                .unwrap_or_default();
            assert!(found.is_empty(), "{text:?} gives {found:?}");
        }
    }
}

#[test]
fn a_tab_in_a_name_or_between_addresses_is_a_blank() {
    assert_eq!(
        shown("\"Doe,\tJohn\" <j@x>,\tA\tB\t<b@x>"),
        "Doe, John <j@x> | A B <b@x>"
    );
    assert_eq!(shown("a@x\t(A\tB)"), "A B <a@x>");
    assert_eq!(shown("a@x\tb@x"), "a@x | b@x");
}

#[test]
fn the_one_constructor_takes_nothing_that_reads_back_as_something_else() {
    let locals = [
        "",
        "a b",
        "\"a b\"",
        "a\r\nRSET",
        "\"\\\r\"",
        "a,b",
        "a>",
        "a@b",
        "(a)",
        "<a>",
        "\"a\" <b>",
    ];
    for local in locals {
        assert!(Address::new(local, None).is_err(), "{local:?}");
    }
    for domain in [
        "",
        "x y",
        "x\r\ny",
        "x>",
        "x,b@x",
        "[1.2.3]",
        "x(y)",
        "x.",
        "中.example",
    ] {
        assert!(Address::new("a", Some(domain)).is_err(), "{domain:?}");
    }
    assert!(Address::new("\"a b\"", Some("x")).is_ok());
}

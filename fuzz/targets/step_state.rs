//! The stored state of a step: what can be read can be written and reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oxbatch_core::execution::StepState;

fuzz_target!(|text: &str| {
    let Ok(state) = StepState::from_json(text) else { return };
    let mut first = String::new();
    if state.write_json(&mut first).is_err() {
        return;
    }
    let again = StepState::from_json(&first).expect("what was written is read");
    let mut second = String::new();
    again.write_json(&mut second).expect("what was small stays small");
    assert_eq!(first, second);
    assert_eq!(again.context, state.context);
    for (read, written) in
        [(&state.reader, &again.reader), (&state.processor, &again.processor), (&state.writer, &again.writer)]
    {
        assert_eq!(read.as_ref().map(|it| it.as_json()), written.as_ref().map(|it| it.as_json()));
    }
});

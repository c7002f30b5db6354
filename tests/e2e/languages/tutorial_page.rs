//! The steps of a tutorial, as its page has them.
//!
//! | on the page | what a reader does |
//! |---|---|
//! | a block of `console` | enters the lines that begin with `$ `; the others are printed |
//! | a block of code or settings, after a sentence with `` `FILE` `` and “Replace” or “Write” | writes the file |
//! | such a block after another sentence with `` `FILE` `` | finds this text in the file |
//! | a sentence with “Ctrl-C” | stops all that runs |

use crate::harness::console::commands;

/// What a reader does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Enter a command, which prints these lines.
    Enter { command: String, output: Vec<String> },
    /// Write a file.
    Write { file: String, text: String },
    /// Find this text in a file.
    Find { file: String, text: String },
    /// Stop all that runs.
    Stop,
}

/// The steps of `page`, in order.
pub(super) fn steps(page: &str) -> Vec<Step> {
    let (mut steps, mut sentence) = (Vec::new(), "");
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(form) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            match form {
                "console" => steps.extend(commands(block).into_iter().map(enter)),
                _ => steps.push(file(sentence, &block)),
            }
        } else if !line.is_empty() {
            sentence = line;
            if line.contains("Ctrl-C") {
                steps.push(Step::Stop);
            }
        }
    }
    steps
}

fn enter((command, output): (&str, Vec<&str>)) -> Step {
    let output = output.into_iter().map(ToOwned::to_owned).collect();
    Step::Enter { command: command.to_owned(), output }
}

fn file(sentence: &str, block: &[&str]) -> Step {
    // The last sentence of the paragraph, with the first name in it.
    let sentence = sentence.rsplit(". ").next().unwrap_or(sentence);
    let name = sentence.split('`').nth(1);
    let file = name.unwrap_or_else(|| panic!("which file? {sentence}")).to_owned();
    let text: String = block.iter().flat_map(|line| [line, "\n"]).collect();
    if ["Replace ", "Write "].iter().any(|word| sentence.starts_with(word)) {
        Step::Write { file, text }
    } else {
        Step::Find { file, text }
    }
}

#[test]
fn a_page_is_read_as_a_reader_does() {
    let page = "\
# Title

Enter this:

```console
$ one --flag
prints

 more
$ two
```

`a/b.c` is the program:

```c
int main;
```

It is wrong. Replace the content of `a/b.c`:

```c
int main(void) {}
```

Press Ctrl-C.
";
    let enter = |command: &str, output: &[&str]| Step::Enter {
        command: command.to_owned(),
        output: output.iter().map(|line| (*line).to_owned()).collect(),
    };
    let file = "a/b.c".to_owned();
    assert_eq!(
        steps(page),
        [
            enter("one --flag", &["prints", "", " more"]),
            enter("two", &[]),
            Step::Find { file: file.clone(), text: "int main;\n".to_owned() },
            Step::Write { file, text: "int main(void) {}\n".to_owned() },
            Step::Stop,
        ]
    );
}

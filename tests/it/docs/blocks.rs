//! Parser that splits a documentation page into blocks, and a diff of texts.

/// A block of a page: a line of text, a comment on its own line, or a code block.
pub enum Block<'p> {
    Line(&'p str),
    Comment(&'p str),
    Code { info: &'p str, body: String },
}

/// The blocks of a page with the numbers of their first lines.
pub fn split_blocks(page: &str) -> Vec<(usize, Block<'_>)> {
    let (mut blocks, mut lines) = (Vec::new(), (1..).zip(page.split_inclusive('\n')));
    while let Some((number, line)) = lines.next() {
        let comment = line.trim().strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        let block = match (line.strip_prefix("```"), comment) {
            (Some(info), _) => {
                let body =
                    lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
                Block::Code { info: info.trim(), body: body.collect() }
            }
            (_, Some(comment)) => Block::Comment(comment),
            _ => Block::Line(line),
        };
        blocks.push((number, block));
    }
    blocks
}

/// The lines between the first and the last difference of two texts.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let removed = old[..old.len() - after].iter().map(|line| format!("-{line}\n"));
    removed.chain(new[..new.len() - after].iter().map(|line| format!("+{line}\n"))).collect()
}

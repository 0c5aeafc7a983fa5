//! What a page is made of, and how two texts differ.

/// A part of a page: a line, a comment on a line of its own, or a block of code.
pub enum Piece<'p> {
    Line(&'p str),
    Comment(&'p str),
    Code { info: &'p str, body: String },
}

/// The parts of a page, each with the number of its first line.
pub fn pieces(page: &str) -> Vec<(usize, Piece<'_>)> {
    let (mut pieces, mut lines) = (Vec::new(), (1..).zip(page.split_inclusive('\n')));
    while let Some((number, line)) = lines.next() {
        let comment = line.trim().strip_prefix("<!-- ").and_then(|line| line.strip_suffix(" -->"));
        let piece = match (line.strip_prefix("```"), comment) {
            (Some(info), _) => {
                let body =
                    lines.by_ref().map(|(_, line)| line).take_while(|line| line.trim() != "```");
                Piece::Code { info: info.trim(), body: body.collect() }
            }
            (_, Some(comment)) => Piece::Comment(comment),
            _ => Piece::Line(line),
        };
        pieces.push((number, piece));
    }
    pieces
}

/// The lines between the first and the last in which two texts differ.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (old.lines().collect(), new.lines().collect());
    let before = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[before..], &new[before..]);
    let after = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let shown = old[..old.len() - after].iter().map(|line| format!("-{line}\n"));
    shown.chain(new[..new.len() - after].iter().map(|line| format!("+{line}\n"))).collect()
}

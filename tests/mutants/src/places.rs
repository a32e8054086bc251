//! Where in a source file a mutant of cargo-mutants can stand behind a switch.
//!
//! ```text
//!   fn f() -> T { body }      Body:  the mutant returns first
//!   a < b, !a, a += b         Op:    the expression, and the token that changes
//!   match x { p => .. }       Arm:   a guard that keeps it from matching
//!   match x { p if g => .. }  Guard: what stands in its place
//! ```
//!
//! P1. Nothing in a constant is a place: a switch is read while the program runs. What stands in a macro call is none
//!     either, nor for cargo-mutants.

use std::collections::HashMap;
use std::ops::Range;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Bytes of the file.
pub type Bytes = Range<usize>;

#[derive(Clone, Debug)]
pub enum Place {
    /// Behind the brace that opens it.
    Body(usize),
    Op {
        whole: Bytes,
        token: Bytes,
    },
    /// Behind its pattern, and the guard that it has.
    Arm(usize, Option<Bytes>),
    Guard(Bytes),
}

/// What cargo-mutants calls the kind of a mutant, with the line and column where it begins, both from 1 on.
pub type Name = (&'static str, usize, usize);

/// The places of a file with the contents `text`.
pub fn find(text: &str) -> syn::Result<HashMap<Name, Place>> {
    let mut finder = Finder { places: HashMap::new() };
    finder.visit_file(&syn::parse_file(text)?);
    Ok(finder.places)
}

struct Finder {
    places: HashMap<Name, Place>,
}

impl Finder {
    fn add(&mut self, kind: &'static str, at: &impl Spanned, place: Place) {
        let start = at.span().start();
        self.places.insert((kind, start.line, start.column + 1), place);
    }

    fn body(&mut self, sig: &syn::Signature, block: &syn::Block) {
        let mut opaque = Opaque(false);
        opaque.visit_return_type(&sig.output);
        if sig.constness.is_some() {
            return;
        }
        if !opaque.0 {
            let open = block.brace_token.span.open();
            let place = Place::Body(open.byte_range().end);
            self.add("FnValue", &open, place.clone());
            if let Some(first) = block.stmts.first() {
                self.add("FnValue", first, place);
            }
        }
        self.visit_block(block);
    }

    fn op(&mut self, kind: &'static str, whole: &impl Spanned, token: &impl Spanned) {
        let place = Place::Op { whole: bytes(whole), token: bytes(token) };
        self.add(kind, token, place);
    }
}

/// Whether a type hides another: a function that returns such a one can return no second.
struct Opaque(bool);

impl<'ast> Visit<'ast> for Opaque {
    fn visit_type_impl_trait(&mut self, _: &'ast syn::TypeImplTrait) {
        self.0 = true;
    }
}

/// Whether `if let .. && ..` is meant, which has no other form.
fn is_let_chain(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => is_let_chain(&binary.left) || is_let_chain(&binary.right),
        _ => false,
    }
}

fn bytes(of: &impl Spanned) -> Bytes {
    of.span().byte_range()
}

impl<'ast> Visit<'ast> for Finder {
    // P1
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.body(&item.sig, &item.block);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.body(&item.sig, &item.block);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(block) = &item.default {
            self.body(&item.sig, block);
        }
    }

    fn visit_expr_binary(&mut self, binary: &'ast syn::ExprBinary) {
        if !is_let_chain(&binary.left) && !is_let_chain(&binary.right) {
            self.op("BinaryOperator", binary, &binary.op);
        }
        visit::visit_expr_binary(self, binary);
    }

    fn visit_expr_unary(&mut self, unary: &'ast syn::ExprUnary) {
        self.op("UnaryOperator", unary, &unary.op);
        visit::visit_expr_unary(self, unary);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        let guard = arm.guard.as_ref().map(|(_, guard)| bytes(guard));
        if let Some((_, expr)) = &arm.guard {
            self.add("MatchArmGuard", expr, Place::Guard(bytes(expr)));
        }
        self.add("MatchArm", arm, Place::Arm(bytes(&arm.pat).end, guard));
        visit::visit_arm(self, arm);
    }
}

//! What one module defines, imports, and refers to.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Field, ImplItemFn, Item, ItemMod, ItemUse, Macro, UseTree, Visibility,
    visit::{self, Visit},
};

/// A path as it is written, in segments.
pub(crate) type Path = Vec<String>;

/// A module, of a file of its own or within one. Items under `#[cfg(test)]` are left out.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// Modules that it declares, whose files are of their own.
    pub(crate) children: BTreeSet<String>,
    /// Modules that are written within it.
    pub(crate) inline: BTreeMap<String, Self>,
    /// Items that it defines.
    pub(crate) items: BTreeSet<String>,
    /// Those of them that are types or traits.
    pub(crate) types: BTreeSet<String>,
    /// Names for its own use, each with its path.
    pub(crate) imports: BTreeMap<String, Path>,
    /// Names that it passes on (`pub use`): nothing that it refers to itself.
    pub(crate) exports: BTreeMap<String, Path>,
    /// Modules all of whose names it takes, for its own use.
    pub(crate) globs: Vec<Path>,
    /// The same, passed on.
    pub(crate) glob_exports: Vec<Path>,
    /// Paths in its code, of two segments at least.
    pub(crate) paths: BTreeSet<Path>,
}

impl Module {
    /// Reads the source of a file.
    pub(crate) fn parse(source: &str) -> syn::Result<Self> {
        let mut module = Self::default();
        module.read(&syn::parse_file(source)?.items);
        Ok(module)
    }

    /// All that it refers to.
    pub(crate) fn references(&self) -> impl Iterator<Item = &Path> {
        self.imports.values().chain(&self.globs).chain(&self.paths)
    }

    fn read(&mut self, items: &[Item]) {
        for item in items.iter().filter(|item| !are_of_tests(attributes(item))) {
            self.define(item);
            self.visit_item(item);
        }
    }

    fn define(&mut self, item: &Item) {
        let (name, is_type) = match item {
            Item::Const(item) => (&item.ident, false),
            Item::Fn(item) => (&item.sig.ident, false),
            Item::Static(item) => (&item.ident, false),
            Item::Macro(item) => match &item.ident {
                Some(name) => (name, false),
                None => return,
            },
            Item::Enum(item) => (&item.ident, true),
            Item::Struct(item) => (&item.ident, true),
            Item::Trait(item) => (&item.ident, true),
            Item::Type(item) => (&item.ident, true),
            Item::Union(item) => (&item.ident, true),
            _ => return,
        };
        self.items.insert(name.to_string());
        if is_type {
            self.types.insert(name.to_string());
        }
    }

    fn add_path(&mut self, path: Path) {
        if path.len() > 1 {
            self.paths.insert(path);
        }
    }

    fn add_import(&mut self, is_public: bool, mut path: Path, name: Option<String>) {
        if path.len() > 1 && path.last().is_some_and(|name| name == "self") {
            path.pop();
        }
        if path.last().is_some_and(|name| name == "*") {
            path.pop();
            let globs = if is_public { &mut self.glob_exports } else { &mut self.globs };
            globs.push(path);
        } else if let Some(name) = name.or_else(|| path.last().cloned()) {
            let names = if is_public { &mut self.exports } else { &mut self.imports };
            names.insert(name, path);
        }
    }
}

impl<'ast> Visit<'ast> for Module {
    fn visit_item(&mut self, item: &'ast Item) {
        if !are_of_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = item.ident.to_string();
        match &item.content {
            Some((_, items)) => self.inline.entry(name).or_default().read(items),
            None => drop(self.children.insert(name)),
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let is_public = !matches!(item.vis, Visibility::Inherited);
        let mut leaves = Vec::new();
        read_tree(&item.tree, &Vec::new(), &mut leaves);
        for (path, name) in leaves {
            self.add_import(is_public, path, name);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        if !are_of_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_field(&mut self, field: &'ast Field) {
        if !are_of_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.add_path(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, called: &'ast Macro) {
        self.visit_path(&called.path);
        paths_within(called.tokens.clone(), &mut |path| self.add_path(path));
    }

    // Attributes and visibilities lead nowhere.
    fn visit_attribute(&mut self, _: &'ast Attribute) {}
    fn visit_visibility(&mut self, _: &'ast Visibility) {}
}

/// Reads a tree of `use`: each of its leaves, with the name that it is given.
fn read_tree(tree: &UseTree, base: &Path, leaves: &mut Vec<(Path, Option<String>)>) {
    let with = |name: &dyn ToString| [base.as_slice(), &[name.to_string()]].concat();
    match tree {
        UseTree::Path(tree) => read_tree(&tree.tree, &with(&tree.ident), leaves),
        UseTree::Name(tree) => leaves.push((with(&tree.ident), None)),
        UseTree::Rename(tree) => leaves.push((with(&tree.ident), Some(tree.rename.to_string()))),
        UseTree::Glob(_) => leaves.push((with(&'*'), None)),
        UseTree::Group(tree) => tree.items.iter().for_each(|tree| read_tree(tree, base, leaves)),
    }
}

/// The paths in what a macro is given, which need not be Rust.
fn paths_within(tokens: TokenStream, found: &mut impl FnMut(Path)) {
    let mut path = Path::new();
    // How many colons in a row came last.
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(name) => {
                if colons != 2 {
                    found(std::mem::take(&mut path));
                }
                path.push(name.to_string());
                colons = 0;
            }
            TokenTree::Group(group) => {
                found(std::mem::take(&mut path));
                paths_within(group.stream(), found);
                colons = 0;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {
                found(std::mem::take(&mut path));
                colons = 0;
            }
        }
    }
    found(path);
}

fn are_of_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Ident>().is_ok_and(|name| name == "test")
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

#[test]
fn a_module_is_read() {
    let source = "
        mod child;
        mod within { use super::Thing; }
        #[cfg(test)] mod tests;
        #[cfg(test)] use not::This;
        pub(crate) use self::child::{Out, deep::*};
        use crate::a::{self, b::{C, D as E}, f::*};
        pub(super) struct Thing { field: super::other::Field, #[cfg(test)] more: not::Field }
        fn helper() { select! { x = g::h::<i::J>() => k(\"l::m\") } }
        impl Thing {
            fn new() -> Self { helper::make::<Self>(); use x::Y; Self }
            #[cfg(test)] fn not() { not::that() }
        }
    ";
    let module = Module::parse(source).unwrap();
    let text = |path: &Path| path.join("::");
    let names = |names: &BTreeMap<String, Path>| {
        names.iter().map(|(name, path)| format!("{name}={}", text(path))).collect::<Vec<_>>()
    };
    assert_eq!(module.children, BTreeSet::from(["child".to_owned()]));
    assert_eq!(names(&module.inline["within"].imports), ["Thing=super::Thing"]);
    assert_eq!(module.items, BTreeSet::from(["Thing".to_owned(), "helper".to_owned()]));
    assert_eq!(module.types, BTreeSet::from(["Thing".to_owned()]));
    assert_eq!(names(&module.exports), ["Out=self::child::Out"]);
    assert_eq!(
        names(&module.imports),
        ["C=crate::a::b::C", "E=crate::a::b::D", "Y=x::Y", "a=crate::a"]
    );
    assert_eq!(module.globs.iter().map(text).collect::<Vec<_>>(), ["crate::a::f"]);
    assert_eq!(module.glob_exports.iter().map(text).collect::<Vec<_>>(), ["self::child::deep"]);
    let paths: Vec<_> = module.paths.iter().map(text).collect();
    assert_eq!(paths, ["g::h", "helper::make", "i::J", "super::other::Field"]);
}

//! The right that each route needs: stated with the route, shown in the OpenAPI document, and read from there.

use std::collections::HashMap;
use std::sync::LazyLock;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use oxbatch_core::access::Right;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::security::SecurityRequirement;
use utoipa_axum::router::UtoipaMethodRouter;

use crate::router;

/// The names of the two ways to show a token, as the document has them.
pub(crate) const SCHEMES: [&str; 2] = ["token", "session"];

/// The need of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needed {
    /// Nothing: anybody may ask.
    Nothing,
    /// A right.
    Right(Right),
}

/// A route that anybody may ask.
pub(crate) fn open<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    stated(routes, &[])
}

/// A route that shows how things stand.
pub(crate) fn view<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    with(routes, Right::View)
}

/// A route that shows records of the data.
pub(crate) fn data<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    with(routes, Right::Data)
}

/// A route that changes what runs and when.
pub(crate) fn operate<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    with(routes, Right::Operate)
}

/// A route that is the administrator's.
pub(crate) fn administer<S>(routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S> {
    with(routes, Right::Administer)
}

fn with<S>(routes: UtoipaMethodRouter<S>, right: Right) -> UtoipaMethodRouter<S> {
    stated(routes, &SCHEMES.map(|scheme| SecurityRequirement::new(scheme, [right.as_str()])))
}

fn stated<S>(
    (schemas, mut paths, routes): UtoipaMethodRouter<S>,
    security: &[SecurityRequirement],
) -> UtoipaMethodRouter<S> {
    for item in paths.paths.values_mut() {
        for (_, operation) in operations_mut(item) {
            operation.security = Some(security.to_vec());
        }
    }
    (schemas, paths, routes)
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let all = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A route with its need and its name, which the audit log shows.
#[derive(Debug)]
struct Stated {
    needed: Needed,
    operation: String,
}

/// The routes by path, with their methods.
type Routes = HashMap<String, HashMap<Method, Stated>>;

static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let mut routes = Routes::new();
    router::each_description(|paths| {
        for (path, mut item) in paths.paths {
            for (method, operation) in operations_mut(&mut item) {
                let needed = of_security(operation.security.as_deref());
                let name = operation.operation_id.clone().unwrap_or_default();
                routes.entry(path.clone()).or_default().insert(method, Stated { needed, operation: name });
            }
        }
    });
    for (path, needed) in router::UNDOCUMENTED {
        let stated = Stated { needed, operation: String::new() };
        routes.entry(path.to_owned()).or_default().insert(Method::GET, stated);
    }
    #[cfg(feature = "pages")]
    for route in crate::pages::all() {
        let stated = Stated { needed: route.needed, operation: route.action.to_owned() };
        routes.entry(route.path.to_owned()).or_default().insert(route.method, stated);
    }
    routes
});

/// The need that a description states. One that states none is the administrator's: it is a defect that a test finds.
fn of_security(security: Option<&[SecurityRequirement]>) -> Needed {
    let Some(security) = security else { return Needed::Right(Right::Administer) };
    let has = |right: &Right| security.contains(&SecurityRequirement::new(SCHEMES[0], [right.as_str()]));
    match Right::ALL.into_iter().find(has) {
        Some(right) => Needed::Right(right),
        None if security.is_empty() => Needed::Nothing,
        None => Needed::Right(Right::Administer),
    }
}

/// The need of a request, and the name of what it asks for. A path that nothing answers needs nothing.
pub(crate) fn needed(request: &Request) -> (Needed, &'static str) {
    let Some(path) = request.extensions().get::<MatchedPath>() else { return (Needed::Nothing, "") };
    let method = if *request.method() == Method::HEAD { &Method::GET } else { request.method() };
    match ROUTES.get(path.as_str()) {
        None => (Needed::Right(Right::Administer), ""),
        Some(methods) => match methods.get(method) {
            Some(stated) => (stated.needed, &stated.operation),
            // It is answered that the path does not take this method.
            None => (Needed::Right(Right::View), ""),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_route_states_its_right() {
        for (path, mut item) in router::described().paths.paths {
            for (method, operation) in operations_mut(&mut item) {
                let security = operation.security.as_deref();
                assert!(security.is_some(), "{method} {path} states no right: see `router.rs`");
                let is_change = method != Method::GET;
                let may_change = !matches!(of_security(security), Needed::Nothing | Needed::Right(Right::View));
                let only_shows = ["plan_backfill", "log_in", "log_out"];
                let name = operation.operation_id.as_deref().unwrap_or_default();
                assert!(
                    !is_change || may_change || only_shows.contains(&name),
                    "{method} {path} may be asked by viewers"
                );
            }
        }
    }

    #[test]
    fn a_route_without_a_right_is_the_administrators() {
        assert_eq!(of_security(None), Needed::Right(Right::Administer));
        let foreign = [SecurityRequirement::new("token", ["anything"])];
        assert_eq!(of_security(Some(&foreign)), Needed::Right(Right::Administer));
        assert_eq!(of_security(Some(&[])), Needed::Nothing);
    }
}

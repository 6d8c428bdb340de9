// Addresses of servers as operators may see them in logs and reports: without user and password.
// What does not look like an address is hidden as a whole, because it may be a password.
#pragma once

#include <string>
#include <string_view>

namespace mpr {

// "redis://user:secret@host:6379/2" -> "redis://***@host:6379/2". Options behind ? may hold secrets
// of their own: "mongodb://***@a,b:27018/mpr?***".
std::string shown_url(std::string_view url);

// The same for "host:port,redis://host:port,...".
std::string shown_nodes(std::string_view nodes);

}  // namespace mpr

// Checks the options of a client and fills in what is left to it. Any thread.
#pragma once

#include <mpr/client.hpp>
#include <string>

#include "client/caller.hpp"
#include "client/link.hpp"

namespace mpr::client {

// With a client id. Throws std::invalid_argument that names what is wrong.
ClientOptions checked(ClientOptions options);
// Both want checked options. The first throws like checked() when a TLS file cannot be used.
Link::Options link_options(const ClientOptions& options);
Caller::Limits call_limits(const ClientOptions& options);

// A random UUID (version 4), unique among all clients.
std::string make_message_id();

}  // namespace mpr::client

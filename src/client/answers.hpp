// Reads the answers and events of a gateway into the types of the public header. Each function
// yields nothing when the text is not what docs/protocol.md promises. Members that it does not know
// are ignored. Any thread.
#pragma once

#include <mpr/client.hpp>
#include <optional>
#include <string_view>

namespace mpr::client {

// Whether `text` is a JSON object, whole and valid, and not nested deeper than a gateway reads.
bool is_payload(std::string_view text);
bool is_utf8(std::string_view text);

std::optional<bool> boolean_in(std::string_view json);
std::optional<std::uint64_t> count_in(std::string_view json);
std::optional<std::vector<std::string>> names_in(std::string_view json);
std::optional<AddedMessage> added_in(std::string_view json);
std::optional<std::vector<AddedMessage>> all_added_in(std::string_view json);
std::optional<std::vector<QueuedMessage>> messages_in(std::string_view json);
std::optional<QueueStatus> status_in(std::string_view json);
std::optional<Acknowledgement> acknowledgement_in(std::string_view json);
// Nothing also for events that this client does not know.
std::optional<ServerEvent> event_in(std::string_view method, std::string_view params);

// The typed form of an error object; one that cannot be read is ErrorKind::unexpected_answer.
CallError error_in(std::string_view method, std::string_view json);

}  // namespace mpr::client

// Writes the parameters of the methods as JSON, with the names of docs/protocol.md. Texts are
// escaped; payloads are copied as they are. Any thread.
#pragma once

#include <mpr/client.hpp>
#include <span>
#include <string>
#include <string_view>

namespace mpr::client {

std::string parameters_of(const NewMessage& message);
std::string parameters_of(const std::vector<NewMessage>& messages);
std::string parameters_of(const TakeRequest& request);
std::string parameters_of(const QueueSelection& selection);
std::string removal_parameters(std::string_view connection_id, std::span<const std::string> ids);
std::string connection_parameters(std::string_view connection_id);
// The session id is left out when it is null.
std::string session_parameters(std::string_view connection_id, const std::string* session_id);
// Of a session that was open before: it yields to another one that is there now.
std::string resume_parameters(std::string_view connection_id, std::string_view session_id);

}  // namespace mpr::client

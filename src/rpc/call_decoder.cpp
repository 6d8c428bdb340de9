#include "rpc/call_decoder.hpp"

#include <algorithm>
#include <utility>

#include "rpc/param_reader.hpp"

namespace mpr::rpc {

namespace {

constexpr std::array<std::string_view, kParams> kParamNames = {
    "connectionId", "deleteMessages", "limit",         "limitBytes", "messageId",
    "messageIds",   "messages",       "payload",       "project",    "pushNotificationToken",
    "receivedAt",   "recipientDid",   "recipientDids", "resume",     "sessionId",
    "token",        "ttlSeconds",     "type"};

AddRequest read_add(ParamReader& in, CallDecoder::Bounds bounds) {
  AddRequest request;
  request.connection_id = in.id<ConnectionId>(Param::connection_id);
  request.recipient_dids = in.recipient_dids();
  request.payload = in.payload(bounds.max_message_bytes);
  request.push_token = in.push_token();
  request.message_id = in.caller_message_id();
  request.received_at = in.time(Param::received_at);
  request.ttl = in.ttl();
  return request;
}

QueueRequest read_queue(ParamReader& in) {
  QueueRequest request;
  request.connection_id = in.id<ConnectionId>(Param::connection_id);
  request.recipient_did = in.recipient_did();
  return request;
}

RemoveRequest read_remove(ParamReader& in) {
  RemoveRequest request;
  request.connection_id = in.id<ConnectionId>(Param::connection_id);
  request.message_ids = in.message_ids();
  return request;
}

// Reads named parameters with `Read`, the refusal of other params included.
template <class T, class Read>
Result<Call> named(const RawParams& params, Read read) {
  if (type_of(params.raw) != JsonType::object) {
    return fail(Errc::invalid_argument, "params: must be an object");
  }
  ParamReader in(params.members);
  T call{read(in)};
  if (auto problem = in.take_problem()) return std::unexpected(std::move(*problem));
  return call;
}

Result<Call> add_message(const RawParams& params, CallDecoder::Bounds bounds) {
  return named<AddMessage>(params, [&](ParamReader& in) { return read_add(in, bounds); });
}

Result<Call> add_messages(const RawParams& params, CallDecoder::Bounds bounds) {
  return named<AddMessages>(params, [&](ParamReader& in) {
    std::vector<AddRequest> requests;
    in.each_message([&](ParamReader& message) { requests.push_back(read_add(message, bounds)); });
    return requests;
  });
}

Result<Call> take_from_queue(const RawParams& params, CallDecoder::Bounds) {
  return named<TakeFromQueue>(params, [](ParamReader& in) {
    TakeRequest request;
    request.connection_id = in.id<ConnectionId>(Param::connection_id);
    request.recipient_did = in.recipient_did();
    request.limit = in.count(Param::limit);
    request.limit_bytes = in.count(Param::limit_bytes);
    request.mode = in.flag(Param::delete_messages) ? TakeMode::remove : TakeMode::keep;
    return request;
  });
}

template <class T>
Result<Call> about_queue(const RawParams& params, CallDecoder::Bounds) {
  return named<T>(params, read_queue);
}

template <class T>
Result<Call> about_messages(const RawParams& params, CallDecoder::Bounds) {
  return named<T>(params, read_remove);
}

Result<Call> add_live_session(const RawParams& params, CallDecoder::Bounds) {
  return named<AddLiveSession>(params, [](ParamReader& in) {
    OpenSessionRequest request;
    request.connection_id = in.id<ConnectionId>(Param::connection_id);
    request.session_id = in.id<SessionId>(Param::session_id);
    request.mode = in.flag(Param::resume) ? OpenMode::resume : OpenMode::replace;
    return request;
  });
}

Result<Call> remove_live_session(const RawParams& params, CallDecoder::Bounds) {
  return named<RemoveLiveSession>(params, [](ParamReader& in) {
    CloseSessionRequest request;
    request.connection_id = in.id<ConnectionId>(Param::connection_id);
    request.session_id = in.optional_id<SessionId>(Param::session_id);
    return request;
  });
}

Result<Call> get_live_session(const RawParams& params, CallDecoder::Bounds) {
  return named<GetLiveSession>(
      params, [](ParamReader& in) { return in.id<ConnectionId>(Param::connection_id); });
}

Result<Call> login(const RawParams& params, CallDecoder::Bounds) {
  return named<Login>(
      params, [](ParamReader& in) { return in.text(Param::token, limits::kLoginTokenBytes); });
}

template <class T>
Result<Call> about_events(const RawParams& params, CallDecoder::Bounds) {
  auto events = read_event_names(params.raw);
  if (!events) return std::unexpected(std::move(events.error()));
  return T{std::move(*events)};
}

template <class T>
Result<Call> without_params(const RawParams&, CallDecoder::Bounds) {
  return T{};
}

constexpr CallDecoder kCallDecoders[] = {
    {"__listMethods", without_params<ListMethods>},
    {"ping", without_params<Ping>},
    {"addMessage", add_message},
    {"addMessages", add_messages},
    {"takeFromQueue", take_from_queue},
    {"getAvailableMessageCount", about_queue<GetAvailableMessageCount>},
    {"getQueueStatus", about_queue<GetQueueStatus>},
    {"removeMessages", about_messages<RemoveMessages>},
    {"acknowledge", about_messages<Acknowledge>},
    {"removeAllMessages", about_queue<RemoveAllMessages>},
    {"addLiveSession", add_live_session},
    {"removeLiveSession", remove_live_session},
    {"getLiveSession", get_live_session},
    {"rpc.on", about_events<Subscribe>},
    {"rpc.off", about_events<Unsubscribe>},
    {"rpc.login", login},
};

}  // namespace

std::string_view name_of(Param param) noexcept {
  return kParamNames[static_cast<std::size_t>(param)];
}

bool ParamSet::scan(JsonScanner& scanner) {
  raw_ = {};
  std::string unescaped;
  return scanner.object([&](std::string_view name) {
    RawJson raw;
    if (!scanner.value(raw)) return false;
    const auto found = std::ranges::find(kParamNames, plain_name(name, unescaped));
    if (found != kParamNames.end()) {
      raw_[static_cast<std::size_t>(found - kParamNames.begin())] = raw;
    }
    return true;
  });
}

std::span<const CallDecoder> call_decoders() noexcept { return kCallDecoders; }

const CallDecoder* find_call_decoder(std::string_view method) noexcept {
  const auto found = std::ranges::find(kCallDecoders, method, &CallDecoder::method);
  return found == std::end(kCallDecoders) ? nullptr : found;
}

}  // namespace mpr::rpc

#include "gateway/methods.hpp"

#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "rpc/wire.hpp"

namespace mpr {

namespace {

using Answer = Result<std::string>;

Answer text_of(bool value) { return std::string(value ? "true" : "false"); }
Answer text_of(std::uint64_t value) { return std::to_string(value); }

// The outcome as JSON text, or its error.
template <class T>
Answer encode(const Result<T>& outcome) {
  if (!outcome) return std::unexpected(outcome.error());
  if constexpr (std::is_void_v<T>) {
    return text_of(true);
  } else if constexpr (std::is_arithmetic_v<T>) {
    return text_of(*outcome);
  } else {
    return rpc::result_of(*outcome);
  }
}

Task<Answer> answer(Answer ready) { co_return ready; }

// Carries out one call; each overload awaits the service itself, so that a call costs one frame
// beside the service's own.
struct Execution {
  PickupService& service;
  Caller caller;
  Deadline deadline;

  Task<Answer> operator()(rpc::Ping&&) { return answer("\"pong\""); }
  Task<Answer> operator()(rpc::ListMethods&&) { return answer(rpc::list_methods_result()); }

  // State of the socket, which is not known here.
  Task<Answer> operator()(rpc::Subscribe&&) { return not_here("rpc.on"); }
  Task<Answer> operator()(rpc::Unsubscribe&&) { return not_here("rpc.off"); }
  Task<Answer> operator()(rpc::Login&&) { return not_here("rpc.login"); }

  Task<Answer> operator()(rpc::AddMessage&& call) {
    return encoded(service.add_message(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::AddMessages&& call) {
    return encoded(service.add_messages(std::move(caller), std::move(call.requests), deadline));
  }
  Task<Answer> operator()(rpc::TakeFromQueue&& call) {
    return encoded(service.take(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::GetAvailableMessageCount&& call) {
    return encoded(service.count(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::GetQueueStatus&& call) {
    return encoded(service.status(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::RemoveMessages&& call) {
    return encoded(service.remove(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::Acknowledge&& call) {
    return encoded(service.acknowledge(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::RemoveAllMessages&& call) {
    return encoded(service.remove_all(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::AddLiveSession&& call) {
    return encoded(service.open_session(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::RemoveLiveSession&& call) {
    return encoded(service.close_session(std::move(caller), std::move(call.request), deadline));
  }
  Task<Answer> operator()(rpc::GetLiveSession&& call) {
    return encoded(service.has_session(std::move(caller), std::move(call.connection_id), deadline));
  }

 private:
  static Task<Answer> not_here(std::string_view method) {
    return answer(
        fail(Errc::internal, std::string(method) + " was not handled by the socket's session"));
  }

  template <class T>
  static Task<Answer> encoded(Task<Result<T>> work) {
    co_return encode(co_await work);
  }
};

}  // namespace

Task<Result<std::string>> Methods::execute(Caller caller, rpc::Call call, Deadline deadline) {
  return std::visit(Execution{service_, std::move(caller), deadline}, std::move(call));
}

}  // namespace mpr

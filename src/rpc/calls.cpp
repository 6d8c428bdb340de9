#include "rpc/calls.hpp"

#include <type_traits>

namespace mpr::rpc {

namespace {

// Calls that carry a request name their connection in it.
template <class T>
concept AboutRequest = requires(const T& call) { call.request.connection_id; };

}  // namespace

const ConnectionId* connection_of(const Call& call) noexcept {
  return std::visit(
      []<class T>(const T& one) -> const ConnectionId* {
        if constexpr (AboutRequest<T>) return &one.request.connection_id;
        if constexpr (std::is_same_v<T, GetLiveSession>) return &one.connection_id;
        return nullptr;
      },
      call);
}

}  // namespace mpr::rpc

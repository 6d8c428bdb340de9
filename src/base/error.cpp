#include "base/error.hpp"

namespace mpr {

std::string_view to_string(Errc code) {
  switch (code) {
    case Errc::invalid_argument:
      return "invalid_argument";
    case Errc::unauthorized:
      return "unauthorized";
    case Errc::too_large:
      return "too_large";
    case Errc::quota_exceeded:
      return "quota_exceeded";
    case Errc::unavailable:
      return "unavailable";
    case Errc::deadline_exceeded:
      return "deadline_exceeded";
    case Errc::corrupt:
      return "corrupt";
    case Errc::internal:
      return "internal";
  }
  return "internal";
}

}  // namespace mpr

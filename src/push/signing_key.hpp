// A private key that signs JSON Web Tokens (libjwt). Immutable; any thread may sign. The key is
// shown nowhere.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.hpp"

namespace mpr {

enum class SigningAlgorithm { rs256, es256 };

class SigningKey {
 public:
  struct Claims {
    std::string key_id;  // header kid; empty: none
    std::vector<std::pair<std::string, std::string>> texts;
    std::vector<std::pair<std::string, std::int64_t>> numbers;
  };

  // From PEM text. Fails with invalid_argument when it is no private key that fits the algorithm.
  static Result<SigningKey> from_pem(SigningAlgorithm algorithm, std::string pem);

  Result<std::string> sign(const Claims& claims) const;

 private:
  SigningKey(SigningAlgorithm algorithm, std::string pem)
      : algorithm_(algorithm), pem_(std::move(pem)) {}

  SigningAlgorithm algorithm_;
  std::string pem_;
};

}  // namespace mpr

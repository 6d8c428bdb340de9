#include "push/signing_key.hpp"

#include <jwt.h>

#include <cstdlib>
#include <memory>

namespace mpr {

namespace {

struct FreeToken {
  void operator()(jwt_t* token) const noexcept { jwt_free(token); }
};
struct FreeText {
  void operator()(char* text) const noexcept { std::free(text); }
};

}  // namespace

Result<SigningKey> SigningKey::from_pem(SigningAlgorithm algorithm, std::string pem) {
  SigningKey key(algorithm, std::move(pem));
  // Whether it is a key at all shows when it signs. A key of another curve signs as well, but what
  // comes out is longer: ES256 is 64 bytes, 86 characters.
  const Result<std::string> token = key.sign({});
  const bool fits = token && (algorithm != SigningAlgorithm::es256 ||
                              token->size() - token->rfind('.') - 1 == 86);
  if (!fits) {
    return fail(Errc::invalid_argument, algorithm == SigningAlgorithm::es256
                                            ? "is no EC P-256 private key in PEM form"
                                            : "is no RSA private key in PEM form");
  }
  return key;
}

Result<std::string> SigningKey::sign(const Claims& claims) const {
  jwt_t* made = nullptr;
  if (jwt_new(&made) != 0) return fail(Errc::internal, "cannot make a token");
  const std::unique_ptr<jwt_t, FreeToken> token(made);
  const jwt_alg_t algorithm = algorithm_ == SigningAlgorithm::es256 ? JWT_ALG_ES256 : JWT_ALG_RS256;
  int failed =
      jwt_set_alg(token.get(), algorithm, reinterpret_cast<const unsigned char*>(pem_.data()),
                  static_cast<int>(pem_.size()));
  if (!claims.key_id.empty()) {
    failed |= jwt_add_header(token.get(), "kid", claims.key_id.c_str());
  }
  for (const auto& [name, text] : claims.texts) {
    failed |= jwt_add_grant(token.get(), name.c_str(), text.c_str());
  }
  for (const auto& [name, number] : claims.numbers) {
    failed |= jwt_add_grant_int(token.get(), name.c_str(), static_cast<long>(number));
  }
  if (failed != 0) return fail(Errc::internal, "cannot fill a token");
  const std::unique_ptr<char, FreeText> text(jwt_encode_str(token.get()));
  if (!text) return fail(Errc::invalid_argument, "the key cannot sign");
  return std::string(text.get());
}

}  // namespace mpr

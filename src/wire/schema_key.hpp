// 32 bytes as the fields key0 to key3 of a struct in a schema (schema/dht.capnp says how).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace quicmesh {

using KeyBytes = std::array<std::uint8_t, 32>;

template <class Builder>
void set_key(Builder builder, const KeyBytes& key) {
  std::array<std::uint64_t, 4> words{};
  for (std::size_t i = 0; i < key.size(); ++i)
    words[i / 8] |= std::uint64_t{key[i]} << i % 8 * 8;
  builder.setKey0(words[0]);
  builder.setKey1(words[1]);
  builder.setKey2(words[2]);
  builder.setKey3(words[3]);
}

template <class Reader>
[[nodiscard]] KeyBytes get_key(Reader reader) {
  const std::array<std::uint64_t, 4> words{reader.getKey0(), reader.getKey1(), reader.getKey2(),
                                           reader.getKey3()};
  KeyBytes key{};
  for (std::size_t i = 0; i < key.size(); ++i)
    key[i] = static_cast<std::uint8_t>(words[i / 8] >> i % 8 * 8);
  return key;
}

}  // namespace quicmesh

// The vector kernels of BLAKE3, and the choice among them at run time.
//
#include <bit>
#include <cstring>
#include <utility>

#include "crypto/blake3_kernel.hpp"

namespace quicmesh {
namespace blake3_detail {
namespace {

// The kernels read message words straight from memory.
static_assert(std::endian::native == std::endian::little);

namespace four_lanes {
#define QM_LANES 4
#define QM_TARGET_ONLY
#define QM_TARGET [[gnu::always_inline]]
#include "crypto/blake3_lanes.inc"
#undef QM_LANES
#undef QM_TARGET_ONLY
#undef QM_TARGET
}  // namespace four_lanes

#if defined(__x86_64__)
namespace eight_lanes {
#define QM_LANES 8
#define QM_TARGET_ONLY [[gnu::target("avx2")]]
#define QM_TARGET [[gnu::always_inline, gnu::target("avx2")]]
#include "crypto/blake3_lanes.inc"
#undef QM_LANES
#undef QM_TARGET_ONLY
#undef QM_TARGET
}  // namespace eight_lanes

namespace sixteen_lanes {
#define QM_LANES 16
#define QM_TARGET_ONLY [[gnu::target("avx512f")]]
#define QM_TARGET [[gnu::always_inline, gnu::target("avx512f")]]
#include "crypto/blake3_lanes.inc"
#undef QM_LANES
#undef QM_TARGET_ONLY
#undef QM_TARGET
}  // namespace sixteen_lanes
#endif

}  // namespace
}  // namespace blake3_detail

namespace {

// SSE2 and NEON belong to the base of their architectures, so four lanes need no question.
constexpr Blake3Kernel kernels[] = {
    {"portable", 1, blake3_detail::hash_many_portable},
    {"4 lanes", 4, blake3_detail::four_lanes::hash_many},
#if defined(__x86_64__)
    {"8 lanes (AVX2)", 8, blake3_detail::eight_lanes::hash_many},
    {"16 lanes (AVX-512)", 16, blake3_detail::sixteen_lanes::hash_many},
#endif
};

std::size_t count_usable() {
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx2")) return 2;
  if (!__builtin_cpu_supports("avx512f")) return 3;
#endif
  return std::size(kernels);
}

}  // namespace

std::span<const Blake3Kernel> blake3_kernels() {
  static const std::size_t usable = count_usable();
  return std::span(kernels).first(usable);
}

}  // namespace quicmesh

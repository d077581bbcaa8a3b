#include "quic/memory_budget.hpp"

#include <malloc.h>

#include <cstdlib>

namespace quicmesh {

MemoryBudget::MemoryBudget(std::size_t limit_bytes)
    : limit_(limit_bytes), allocator_{this, allocate, release, allocate_zeroed, reallocate} {}

void* MemoryBudget::allocate(std::size_t size, void* user_data) {
  auto& self = *static_cast<MemoryBudget*>(user_data);
  if (!self.allows(size)) return nullptr;
  void* memory = std::malloc(size);
  self.used_ += malloc_usable_size(memory);
  return memory;
}

void MemoryBudget::release(void* memory, void* user_data) {
  auto& self = *static_cast<MemoryBudget*>(user_data);
  self.used_ -= malloc_usable_size(memory);
  std::free(memory);
}

void* MemoryBudget::allocate_zeroed(std::size_t count, std::size_t size, void* user_data) {
  auto& self = *static_cast<MemoryBudget*>(user_data);
  if (size != 0 && count > SIZE_MAX / size) return nullptr;
  if (!self.allows(count * size)) return nullptr;
  void* memory = std::calloc(count, size);
  self.used_ += malloc_usable_size(memory);
  return memory;
}

void* MemoryBudget::reallocate(void* memory, std::size_t size, void* user_data) {
  auto& self = *static_cast<MemoryBudget*>(user_data);
  if (!self.allows(size)) return nullptr;
  const std::size_t before = malloc_usable_size(memory);
  void* grown = std::realloc(memory, size);
  if (grown != nullptr) self.used_ += malloc_usable_size(grown) - before;
  return grown;
}

}  // namespace quicmesh

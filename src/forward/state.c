#include "forward/state.h"

#include "base/checked.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

static size_t up(size_t bytes) { return (bytes + 63) / 64 * 64; }

/* The ranges of the hyperparameters keep all of this below 2^50 bytes. */
static size_t inputs_bytes(const sl_hparams *hp) {
    return up((size_t)(hp->delta_taps - 1) * (size_t)sl_delta_channels(hp) * sizeof(float));
}

static size_t layer_bytes(const sl_hparams *hp, int layer) {
    if (hp->mixer[layer] != SL_MIXER_DELTA) return 0;
    size_t block = (size_t)hp->delta_key_dim * SL_DELTA_COLUMNS * sizeof(float);
    return inputs_bytes(hp) + (size_t)hp->delta_value_heads * (size_t)sl_delta_blocks(hp) * block;
}

size_t sl_state_bytes(const sl_hparams *hp) {
    size_t bytes = 0;
    for (int i = 0; i < hp->layers; i++) bytes += layer_bytes(hp, i);
    return bytes;
}

sl_status sl_state_open(const sl_hparams *hp, int slots, sl_state *ret, sl_error *e) {
    sl_state s = {.slot_bytes = sl_state_bytes(hp)};
    if (s.slot_bytes == 0) {
        *ret = s;
        return SL_OK;
    }
    if (slots < 1 || !sl_mul(s.slot_bytes, (size_t)slots, &s.mapped))
        return sl_fail(e, SL_INVALID, "%d states of %zu bytes", slots, s.slot_bytes);
    s.matrices = inputs_bytes(hp);
    for (int i = 1; i < hp->layers; i++) s.at[i] = s.at[i - 1] + layer_bytes(hp, i - 1);
    void *p = mmap(NULL, s.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED) return sl_fail(e, SL_NOMEM, "%zu bytes for sequences' states (--state-memory): %s", s.mapped, strerror(errno));
    s.data = p;
    *ret = s;
    return SL_OK;
}

void sl_state_close(sl_state *s) {
    if (s->data) munmap(s->data, s->mapped);
    *s = (sl_state){0};
}

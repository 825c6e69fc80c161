/* A sequence's state, of models that keep one: the slot it is in, the saved one that it begins with, and where it is saved. */
#include "engine/sequence.h"

#include "engine/internal.h"

#include <assert.h>
#include <string.h>

bool sl__sequence_enter(sl__sequence *s, sl__pages *p) {
    if (!p->states.kept.total) return true;
    assert(s->slot < 0);
    s->slot = sl__attached_take(&p->states);
    if (s->slot < 0 && s->read >= 0 && sl__attached_take_over(&p->states, s->read)) {
        s->slot = s->read;
        s->read = -1;
    }
    return s->slot >= 0;
}

void sl__sequence_leave(sl__sequence *s, sl__pages *p) {
    sl__attached *x = &p->states;
    if (!x->kept.total) return;
    for (int i = 0; i < s->saves; i++) sl__attached_drop(x, s->save[i].slot, SL__KEPT);
    if (s->read >= 0) sl__attached_drop(x, s->read, SL__KEPT);
    if (s->slot >= 0) sl__attached_drop(x, s->slot, SL__KEPT);
    s->slot = s->read = s->answer_page = -1;
    s->saves = 0;
}

void sl__sequence_begin_with(sl__sequence *s, sl__pages *p, int32_t slot) {
    sl__attached_share(&p->states, slot);
    if (s->read >= 0) sl__attached_drop(&p->states, s->read, SL__KEPT);
    s->read = slot;
}

/* --- saves --- */

static void save_at(sl__sequence *s, sl__pages *p, int positions) {
    if (positions <= s->computed || positions > s->computed + s->rows || positions % SL_PAGE) return;
    for (int i = 0; i < s->saves; i++)
        if (s->save[i].position == positions - 1) return;
    int32_t slot = sl__attached_take(&p->states);
    if (slot < 0) return;
    int at = s->saves++;
    for (; at > 0 && s->save[at - 1].position > positions; at--) s->save[at] = s->save[at - 1];
    s->save[at] = (sl_step_save){positions - 1, slot};
}

void sl__sequence_plan_saves(sl__sequence *s, sl__pages *p) {
    if (!p->states.kept.total || (!p->keep && s->request->n < 2)) return; /* nobody will go on there */
    assert(s->saves == 0);
    save_at(s, p, sl__sequence_prompt_end(s));
    save_at(s, p, s->branch);
    if (s->computed + s->rows == sl__sequence_tokens(s) && p->keep) save_at(s, p, s->computed + s->rows);
}

void sl__sequence_stepped(sl__sequence *s, sl__pages *p) {
    sl__attached *x = &p->states;
    if (!x->kept.total) return;
    for (int i = 0; i < s->saves; i++) {
        int k = s->save[i].position / SL_PAGE;
        int32_t page = s->page[k];
        assert(k < s->known);
        sl__attached_drop(x, sl__attached_attach(x, s->save[i].slot, page), SL__KEPT);
        if ((k + 1) * SL_PAGE <= s->prompt_len) continue;
        /* Of an answer the newest is enough. */
        if (s->answer_page >= 0) sl__attached_forget(x, s->answer_page);
        s->answer_page = page;
    }
    s->saves = 0;
    if (s->read >= 0) sl__attached_drop(x, s->read, SL__KEPT);
    s->read = -1;
}

/* --- who waits for whom --- */

bool sl__sequence_wants_state_of(const sl__sequence *s, const sl__sequence *first) {
    int end = sl__sequence_prompt_end(first);
    if (first->salt != s->salt || first->computed >= end || first->computed < s->computed || s->computed >= end) return false;
    if (end >= sl__sequence_tokens(s) || s->scored < s->prompt_len) return false;
    if (s->prompt == first->prompt) return true;
    return end <= s->prompt_len && !memcmp(s->prompt, first->prompt, (size_t)end * sizeof *s->prompt);
}

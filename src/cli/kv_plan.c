#include "cli/kv_plan.h"

static uint64_t lesser(uint64_t a, uint64_t b) { return a < b ? a : b; }

uint64_t sl_kv_windows_beside(const sl_kv_wish *w, uint64_t pages) {
    return w->window_bytes ? lesser(pages, w->running + pages / SL_KV_TALK * w->ends) : 0;
}

sl_kv_pages sl_kv_divide(const sl_kv_wish *w, uint64_t bytes) {
    if (!w->window_bytes) return (sl_kv_pages){w->page_bytes ? bytes / w->page_bytes : UINT64_MAX, 0};
    uint64_t equal = bytes / (w->page_bytes + w->window_bytes);
    if (!w->page_bytes) return (sl_kv_pages){UINT64_MAX, equal};
    uint64_t talks = bytes / (SL_KV_TALK * w->page_bytes + w->ends * w->window_bytes);
    uint64_t windows = lesser(equal, w->running + talks * w->ends);
    if (bytes - windows * w->window_bytes < w->one * w->page_bytes && bytes >= w->one * w->page_bytes) {
        uint64_t left = (bytes - w->one * w->page_bytes) / w->window_bytes; /* beside the pages of the longest sequence */
        if (left >= w->least) windows = lesser(left, windows);
    }
    return (sl_kv_pages){(bytes - windows * w->window_bytes) / w->page_bytes, windows};
}

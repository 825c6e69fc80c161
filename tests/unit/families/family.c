/* The rows: each is complete, and each is found by both names. */
#include "families/family.h"

#include <check.h>
#include <stddef.h>
#include <string.h>

START_TEST(rows_are_complete) {
    const sl_family *f;
    int n = 0;
    for (; (f = sl_family_at(n)) != NULL; n++) {
        ck_assert_ptr_nonnull(f->name);
        ck_assert_ptr_nonnull(f->hf_type);
        ck_assert(f->default_norm_eps > 0 && f->default_rope_theta > 0 && f->default_context > 0);
        ck_assert(f->default_bias == false || f->hf_bias_key);
        ck_assert(f->bias_on_output == false || f->hf_bias_key);
        ck_assert(f->always_bias == false || !f->hf_bias_key);
        ck_assert(f->rope_in_prefix == false || f->rope_in_windows);
        ck_assert((f->hf_window_interval_key != NULL) == (f->default_window_interval > 0));
        if (!f->routed) continue;
        ck_assert(f->hf_experts_key && f->hf_expert_ff_key && f->hf_moe && f->hf_moe_fused && f->hf_router);
        for (int i = 0; i < 3; i++) ck_assert_ptr_nonnull(f->hf_proj[i]);
        if (!f->hf_routed_key) ck_assert(f->default_experts > 0 && f->default_experts_used > 0 && f->default_expert_ff > 0);
        ck_assert((f->shared_gate != SL_SHARED_NONE) == (f->hf_shared && (f->hf_shared_ff_key || f->hf_shared_count_key || f->shared_as_expert)));
        ck_assert((f->shared_gate == SL_SHARED_SIGMOID) == (f->hf_shared_gate != NULL));
    }
    ck_assert_int_ge(n, 7);
    ck_assert_ptr_null(sl_family_at(-1));
}
END_TEST

START_TEST(rows_are_found) {
    const sl_family *f;
    for (int i = 0; (f = sl_family_at(i)) != NULL; i++) {
        ck_assert_ptr_eq(sl_family_by_hf(f->hf_type), f);
        if (f->gguf_arch) ck_assert_ptr_eq(sl_family_by_gguf(f->gguf_arch, f->routed), f);
        if (f->gguf_arch_too) ck_assert_ptr_eq(sl_family_by_gguf(f->gguf_arch_too, f->routed), f);
    }
    ck_assert_str_eq(sl_family_by_gguf("llama", true)->name, "mixtral");
    ck_assert_str_eq(sl_family_by_gguf("llama", false)->name, "llama");
    ck_assert_str_eq(sl_family_by_gguf("gemma4", false)->name, "gemma4"); /* dense models too */
    ck_assert_ptr_null(sl_family_by_gguf("qwen3moe", false));
    ck_assert_ptr_null(sl_family_by_gguf("", false));
    ck_assert_ptr_null(sl_family_by_hf("t5"));
}
END_TEST

int main(void) {
    Suite *s = suite_create("families/family");
    TCase *c = tcase_create("rows");
    tcase_add_test(c, rows_are_complete);
    tcase_add_test(c, rows_are_found);
    suite_add_tcase(s, c);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}

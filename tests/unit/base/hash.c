#include "base/hash.h"
#include "base/internal.h"

#include <stdbool.h>

#include "../run.h"

/* CPython's hash of the bytes 0, 1, 2 … under PYTHONHASHSEED=0 (a key of zeros), whose algorithm is siphash13. */
START_TEST(test_reference) {
    static const struct { size_t len; uint64_t want; } values[] = {
        {1, UINT64_C(0x68A914128E01E473)},   {3, UINT64_C(0x4D4C9A4A8EF6E0AD)},   {7, UINT64_C(0x2F098AB0C751325A)},
        {8, UINT64_C(0xEAD411E67EBE2EEA)},   {9, UINT64_C(0x75927F9D95124362)},   {15, UINT64_C(0xF30EB725BB91C9EA)},
        {16, UINT64_C(0x8972188433A5C5B7)},  {17, UINT64_C(0x4883C49A2C009C1D)},  {31, UINT64_C(0x169739443111D49B)},
        {255, UINT64_C(0x5DC1F93EA135EB43)}, {256, UINT64_C(0x31AE646AFBA70308)}, {300, UINT64_C(0x4A3EE92CF03A1AB4)},
    };
    uint8_t text[300];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        ck_assert_uint_eq(sl__siphash(text, values[i].len, 0, 0), values[i].want);
    /* PYTHONHASHSEED=1, whose key these two are */
    ck_assert_uint_eq(sl__siphash(text + 1, 11, UINT64_C(0xAED66CE184BE2329), UINT64_C(0xEBE9BBF1F1499052)), UINT64_C(0x5DAF992EC4173D98));
}
END_TEST

/* Numbers that lie in rows, as the ids of merges do, spread over a table's slots. */
START_TEST(test_numbers_spread) {
    enum { SLOTS = 4096, KEYS = SLOTS / 2 };
    static const int shifts[] = {0, 1, 8, 16, 32, 40};
    for (size_t k = 0; k < sizeof shifts / sizeof *shifts; k++) {
        static bool used[SLOTS];
        size_t looks = 0;
        for (size_t i = 0; i < SLOTS; i++) used[i] = false;
        for (uint64_t i = 0; i < KEYS; i++) {
            size_t at = sl_hash_number(i << shifts[k]) % SLOTS;
            for (looks++; used[at]; looks++) at = (at + 1) % SLOTS;
            used[at] = true;
        }
        ck_assert_uint_lt(looks, 3 * KEYS); /* expected: 1.5 */
    }
}
END_TEST

int main(void) { return RUN_TESTS("hash", 10, test_reference, test_numbers_spread); }

/* Vectors whose format is the end of their name (.fvecs, .fbin, ...): the first byte chooses it, the others are the file. */
#include "fuzz/rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"x.fvecs",   "x.bvecs", "x.ivecs", "x.fbin",
                                        "x.fp16bin", "x.u8bin", "x.i8bin", "x.ibin"};
    trm_matrix matrix;
    if (size < 1)
        return 0;
    const char *name = names[data[0] % (sizeof names / sizeof *names)];
    const bool is = fuzz_matrix(fuzz_put(name, data + 1, size - 1), &matrix);
    if (is && strcmp(matrix.name, "npy") != 0 && strcmp(matrix.name, name + 2) != 0)
        abort();
    return 0;
}

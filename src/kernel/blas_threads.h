/* The BLAS that this process runs with: which one it is, and keeping it to one thread a call, since trimine's
 * own threads call it side by side.
 *
 * Its functions are looked up by name while the program runs: libblas.so.3 and libopenblas.so.0 may be
 * another library than the one that the program was linked with (Debian's alternatives). Not collective. */
#ifndef TRM_KERNEL_BLAS_THREADS_H
#define TRM_KERNEL_BLAS_THREADS_H

#include <stdbool.h>
#include <stddef.h>

/* A function, to be cast to its own type before it is called. */
typedef void (*trm_blas_function)(void);

/* NULL where this BLAS has none of that name. */
trm_blas_function trm_blas_find(const char *name);

/* From now on each call uses one thread, where this BLAS has a way to say so. */
void trm_blas_one_thread(void);

/* Must calls wait for each other, because two at once may give wrong numbers? So it is with an OpenBLAS that was
 * built for one thread: also Debian's, in spite of its USE_LOCKING=1, gave wrong products under two threads. Known
 * once trm_blas_one_thread was called. */
bool trm_blas_takes_turns(void);

/* C (rows x cols, c_stride a row) = A B', or C + A B' where add; A: rows x depth, B: cols x depth, stride a row; all
 * row-major. Threads may call it side by side. */
void trm_blas_dgemm(int rows, int cols, int depth, const double *a, const double *b, int stride, bool add,
                    double *c, int c_stride);

/* "OpenBLAS 0.3.21 ...", "BLIS 0.9.0", "reference BLAS"; else the library's file. Writes at most size bytes.
 */
void trm_blas_describe(char *text, size_t size);

/* What to mind about calling this BLAS from that many threads, as half a sentence after its name; NULL where
 * there is nothing. Borrowed for ever. */
const char *trm_blas_caution(int threads);

#endif

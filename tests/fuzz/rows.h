/* What has been recognised as a matrix can be read: all rows at once, one by one, and backwards, with the same bytes. */
#ifndef TRM_FUZZ_ROWS_H
#define TRM_FUZZ_ROWS_H

#include "fuzz/file.h"

#include "store/gzip.h"
#include "store/matrix.h"

#include <stdbool.h>

static inline void fuzz_check_matrix(const trm_matrix *matrix)
{
    if (matrix->rows < 0 || matrix->width < 0 || matrix->stride < 0 || matrix->dimensions < 1 ||
        matrix->element.size < 1 || matrix->stride < matrix->width * matrix->element.size)
        abort();
}

/* May fail where a row in the middle is of another width; then all do. */
static inline bool fuzz_read_rows(const trm_named_file *about, const trm_matrix *matrix, char *all, char *one)
{
    const int file = open(about->path, O_RDONLY | O_CLOEXEC);
    const int64_t row = matrix->width * matrix->element.size;
    trm_gzip *gzip = NULL;
    bool same = true,
         good = trm_matrix_read(about, matrix, file, &gzip, 0, matrix->rows, all, NULL) == TRM_OK;
    for (int64_t i = matrix->rows - 1; i >= 0 && same; i -= i > 64 ? 41 : 1) {
        const bool read = trm_matrix_read(about, matrix, file, &gzip, i, 1, one, NULL) == TRM_OK;
        same = good ? read && memcmp(one, all + i * row, (size_t)row) == 0 : same;
    }
    trm_gzip_end(&gzip);
    close(file);
    if (!same)
        abort();
    return good;
}

/* Looks at a file, and reads it where that does not take too long. What it is goes to *matrix. */
static inline bool fuzz_matrix(const char *path, trm_matrix *matrix)
{
    enum { MOST = 1 << 18 };
    const trm_named_file about = {"store", path};
    trm_error err = TRM_ERROR_INIT;
    const trm_status status = trm_matrix_look(&about, matrix, &err);
    if (status != TRM_OK && (err.status != status || strstr(err.text, path) == NULL))
        abort();
    if (status != TRM_OK || matrix->name[0] == '\0')
        return false;
    fuzz_check_matrix(matrix);
    if (matrix->rows == 0 || matrix->stride == 0 || matrix->rows > MOST / matrix->stride)
        return true;
    char *all = malloc((size_t)trm_matrix_room(matrix, matrix->rows)),
         *one = malloc((size_t)trm_matrix_room(matrix, 1));
    if (all == NULL || one == NULL)
        abort();
    (void)fuzz_read_rows(&about, matrix, all, one);
    free(all);
    free(one);
    return true;
}

#endif

/* Pairs as a NumPy array of integers of P rows and two columns. */
#include "store/pair_inner.h"

#include "base/alloc.h"
#include "store/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { FEW = 4096 }; /* pairs read at a time */

/* "(3, 2)", as Python has it. */
static void shape_text(const trm_npy *array, char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "(");
    for (int d = 0; d < array->dimensions && used < size; d++)
        used +=
            (size_t)snprintf(text + used, size - used, "%s%" PRId64, d > 0 ? ", " : "", array->dimension[d]);
    if (used < size)
        snprintf(text + used, size - used, array->dimensions == 1 ? ",)" : ")");
}

trm_status trm_pair_npy_look(const trm_named_file *about, int file, int64_t bytes, trm_npy *array,
                             trm_element *element, trm_error *err)
{
    char shape[128];
    const trm_status status = trm_npy_look(about, file, bytes, array, err);
    if (status != TRM_OK)
        return status;
    const bool integers = (array->kind == 'i' || array->kind == 'u') &&
                          (array->size == 1 || array->size == 2 || array->size == 4 || array->size == 8);
    shape_text(array, shape, sizeof shape);
    if (!integers)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': the .npy array holds '%s', needs integers ('<i8')%s",
                        about->kind, about->path, array->type,
                        array->kind == 'U' || array->kind == 'S' ? "; " TRM_PAIR_OF_IDS : "");
    if (array->dimensions != 2 || array->dimension[1] != TRM_PAIR_COLUMNS)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': the .npy array has shape %s, needs (P, 2): columns query and positive",
                        about->kind, about->path, shape);
    if (array->fortran && array->dimension[0] > 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': the .npy array is in Fortran order: save numpy.ascontiguousarray of it",
                        about->kind, about->path);
    memset(element, 0, sizeof *element); /* it travels as bytes */
    element->class = array->kind == 'i' ? TRM_ELEMENT_SIGNED : TRM_ELEMENT_UNSIGNED;
    element->size = element->stored = (int)array->size;
    element->swapped = array->size > 1 && array->big_endian != (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__);
    return TRM_OK;
}

/* Some pairs at a time, by way of memory for the values as stored and as they are. */
static trm_status read_values(int file, const trm_named_file *about, const trm_npy *array,
                              const trm_element *element, void *stored, int64_t *value, trm_pairs *pairs,
                              trm_error *err)
{
    const int64_t pair = TRM_PAIR_COLUMNS * array->size;
    trm_status status = TRM_OK;
    for (int64_t from = 0; from < pairs->count && status == TRM_OK; from += FEW) {
        const int64_t count = pairs->count - from < FEW ? pairs->count - from : FEW;
        status = trm_plain_read(file, (trm_plain_name){about->kind, about->path}, stored, count * pair,
                                array->offset + (pairs->first + from) * pair, err);
        if (status != TRM_OK)
            break;
        trm_element_order(element, stored, count * TRM_PAIR_COLUMNS);
        trm_element_to_int64(element, stored, count * TRM_PAIR_COLUMNS, value);
        for (int64_t i = 0; i < count; i++) {
            pairs->query[from + i] = value[i * TRM_PAIR_COLUMNS + TRM_PAIR_QUERY];
            pairs->positive[from + i] = value[i * TRM_PAIR_COLUMNS + TRM_PAIR_POSITIVE];
        }
    }
    return status;
}

trm_status trm_pair_npy_read(const trm_named_file *about, const trm_npy *array, const trm_element *element,
                             trm_pairs *pairs, trm_error *err)
{
    int file = -1;
    int64_t bytes = 0, *value = trm_alloc((int64_t)FEW * TRM_PAIR_COLUMNS, sizeof *value);
    void *stored = trm_alloc((int64_t)FEW * TRM_PAIR_COLUMNS, (size_t)array->size);
    trm_status status = TRM_OK;
    if (value == NULL || stored == NULL)
        status = trm_fail_memory(err, "pairs to convert", (int64_t)FEW * TRM_PAIR_COLUMNS, sizeof *value);
    if (status == TRM_OK)
        status = trm_inspect_regular(about, &file, &bytes, err);
    if (status == TRM_OK)
        status = read_values(file, about, array, element, stored, value, pairs, err);
    if (file >= 0)
        close(file);
    trm_free(value);
    trm_free(stored);
    return status;
}

/* Where triplets come from, as bits: which of them an option applies to, and where it decides the result. */
#ifndef TRM_OPTIONS_SOURCES_H
#define TRM_OPTIONS_SOURCES_H

enum {
    TRM_AT_MINED = 1 << 0,
    TRM_AT_GIVEN = 1 << 1,
    TRM_AT_HARD = 1 << 2,
    TRM_AT_ALL = 1 << 3,
    TRM_AT_WITHIN = 1 << 4,
    TRM_AT_PACKED_SEMIHARD = 1 << 5, /* packed triplets, by a policy of negatives with a window, */
    TRM_AT_PACKED_OTHER = 1 << 6,    /* without one, */
    TRM_AT_PACKED_REVERSED = 1 << 7, /* or that is no triplet loss */
    TRM_AT_SOURCES = 8,              /* so many bits */

    TRM_AT_STORE = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD | TRM_AT_ALL | TRM_AT_WITHIN,
    TRM_AT_WHOLE = TRM_AT_STORE & ~TRM_AT_GIVEN,
    TRM_AT_PACKED_LOSS = TRM_AT_PACKED_SEMIHARD | TRM_AT_PACKED_OTHER,
    TRM_AT_PACKED = TRM_AT_PACKED_LOSS | TRM_AT_PACKED_REVERSED,
    TRM_AT_SEMIHARD = TRM_AT_MINED | TRM_AT_PACKED_SEMIHARD,
    TRM_AT_TRIPLETS = TRM_AT_MINED | TRM_AT_GIVEN | TRM_AT_HARD | TRM_AT_PACKED_LOSS,
    TRM_AT_LISTED =
        TRM_AT_TRIPLETS | TRM_AT_PACKED_REVERSED, /* one after the other, so that they can be told of */
    TRM_AT_ANY = TRM_AT_STORE | TRM_AT_PACKED,

    TRM_WITH_GRADIENT = 1 << 30 /* beside sources: only where a gradient is asked for */
};

#endif

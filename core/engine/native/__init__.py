"""A step of the Llama family in C, for processors that multiply bytes in registers of 512 bits.

It is compiled where it runs, once, by the machine's own C compiler. Where there is none, or another processor, the
engine computes with PyTorch's operations.
"""

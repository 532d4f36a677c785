"""What the degradations do to a whole batch on the device: pure functions without host synchronisation.

Every function takes pixels as float32 (B, 3, H, W) that hold whole numbers 0..255, and the parameters of each picture
as plain numbers on the host; it costs a fixed number of kernel launches, however many pictures there are. Pictures of
different sizes lie in the upper left corners of their rows, as in `dmdnet.degradations.canvas`; what lies outside a
picture is finite, but nothing more is known of it.

Memory for 64 pictures of 512 x 512 (0.2 GB as float32), the peak of an operation beside its input, its output
included: blur 0.9 GB, resize 0.4 GB, JPEG 0.9 GB, Gaussian noise 0.5 GB, Poisson noise 1.0 GB, colours 0.2 GB.
"""

import odd


def make(image_shape, outputs):
    return odd.plain(image_shape, outputs)

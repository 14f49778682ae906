"""An adversarial pair: a recurrent generator of replies, and a discriminator that tells them from human ones."""
